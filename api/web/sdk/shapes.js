/**
 * What travels, as `docs/openapi.json` describes it. Nothing here runs.
 *
 * @typedef {'pending' | 'processing' | 'retrying' | 'done' | 'failed' | 'cancelled'} JobState
 * @typedef {'waiting' | 'starting' | 'reading' | 'storing' | 'finished'} Phase
 * @typedef {'submitted' | 'started' | 'progress' | 'retrying' | 'handed_back' | 'worker_lost' | 'replayed' | 'done' | 'failed' | 'cancelled'} EventName
 *
 * @typedef {object} ProblemBody RFC 9457.
 * @property {string} type
 * @property {string} title
 * @property {number} status
 * @property {string} detail What happened and what to do.
 * @property {{pointer: string, detail: string}[]} [errors] Fields that are wrong, by JSON pointer.
 *
 * @typedef {object} Progress
 * @property {Phase} phase
 * @property {number} rows
 * @property {number | null} total_rows
 * @property {boolean} total_is_estimate
 * @property {number} bytes
 * @property {number | null} percent
 *
 * @typedef {{position: number}} QueuePosition 1 is next.
 *
 * @typedef {object} Eta A range, learned from runs before; times by the gateway's clock.
 * @property {string} p10 One in ten is ready earlier.
 * @property {string} p50 Half are ready earlier.
 * @property {string} p90 One in ten is ready later.
 * @property {number} runs Finished runs it was learned from.
 *
 * @typedef {object} Artifact
 * @property {string} format
 * @property {string} filename
 * @property {string} media_type
 * @property {number} bytes
 * @property {number} rows
 * @property {string} sha256
 * @property {boolean} complete Whether every row is in it.
 * @property {string} expires_at
 * @property {string} file Where to fetch it with a key.
 * @property {string} receipt
 * @property {string} link Where whoever holds this address can fetch it.
 *
 * @typedef {{format: string, problem: ProblemBody}} Refusal A format that could not hold the rows, and why.
 *
 * @typedef {object} Job
 * @property {string} id
 * @property {string} report
 * @property {string} report_version
 * @property {Record<string, unknown>} params
 * @property {string[]} formats
 * @property {'fail' | 'keep_others'} on_refusal What becomes of it when a format cannot hold the rows.
 * @property {'cold' | 'warm' | 'joined'} served By a run of its own, from the files of an identical job, or by its run under way.
 * @property {string | null} made_from The finished job from whose Parquet file it is made.
 * @property {JobState} state
 * @property {number} attempt
 * @property {Progress} progress
 * @property {{reason: 'turn' | 'run' | 'retry' | 'pause' | 'limit', paused: string | null, limit?: string} | null} [waiting_for] What it waits for, while it does.
 * @property {QueuePosition | null} queue Where it stands in line, while it waits.
 * @property {Eta | null} eta When it will be ready, where that can be told.
 * @property {string} created_at
 * @property {string | null} started_at
 * @property {string | null} finished_at
 * @property {string | null} next_attempt_at
 * @property {Artifact[]} artifacts One a format, once done, but for those in `refused`.
 * @property {Refusal[]} [refused] Formats without a file; only where `on_refusal` is `keep_others`. Older gateways have none.
 * @property {ProblemBody | null} error
 * @property {{self: string, events: string, cancel: string}} links
 *
 * @typedef {object} Pause
 * @property {'lane' | 'report' | 'source' | 'tenant'} kind
 * @property {string} name
 * @property {boolean} everybody Whether it holds for every tenant, and is resumed by the service's operator only.
 * @property {string | null} paused_by
 * @property {string} since
 *
 * @typedef {object} JobPage
 * @property {Job[]} jobs Newest first.
 * @property {string | null} next Cursor of the next page.
 *
 * @typedef {object} JobRequest
 * @property {string} report
 * @property {Record<string, unknown>} [params]
 * @property {string[]} [formats]
 * @property {'fail' | 'keep_others'} [on_refusal] What becomes of the job when a format cannot hold the rows; `fail` when absent.
 * @property {{channel: string, to: string, language?: string, time_zone?: string}[]} [notify]
 * @property {{max_age: number}} [reuse] How many seconds ago an identical job may have finished to be the answer; 0: a run of its own.
 *
 * @typedef {object} Preview
 * @property {{name: string, type: string}[]} columns
 * @property {unknown[][]} rows At most 50.
 * @property {boolean} complete Whether these are all the rows.
 *
 * @typedef {object} Link
 * @property {string} format
 * @property {string} filename
 * @property {string} link
 * @property {'works' | 'expired' | 'revoked'} state
 * @property {string} created_at
 * @property {string} expires_at
 * @property {string | null} revoked_at
 * @property {number} views
 * @property {number} downloads
 * @property {string | null} last_download_at
 * @property {string | null} again_job_id
 * @property {{at: string, kind: string, agent: string, principal: string | null}[]} clicks Newest first.
 *
 * @typedef {object} ParamSchema One property of a report's JSON Schema.
 * @property {string} [type]
 * @property {string} [format]
 * @property {string} [title]
 * @property {string} [description]
 * @property {unknown} [default]
 * @property {string[]} [enum]
 * @property {ParamSchema} [items]
 * @property {number} [minItems]
 * @property {number} [maxItems]
 * @property {number} [maxLength]
 * @property {number} [minimum]
 * @property {number} [maximum]
 * @property {string} [x-minimum]
 * @property {string} [x-maximum]
 * @property {boolean} [writeOnly]
 * @property {ParamSchema[]} [anyOf]
 *
 * @typedef {object} Report
 * @property {string} name
 * @property {string} title
 * @property {string} description
 * @property {string} version
 * @property {'interactive' | 'bulk'} lane
 * @property {string[]} formats
 * @property {number} timeout Seconds.
 * @property {number} retention Seconds.
 * @property {{name: string, type: string, list: boolean, description: string}[]} [attributes] What it reads of whoever asks; from credentials only.
 * @property {{properties: Record<string, ParamSchema>, required: string[], 'x-order'?: string[]}} params
 *
 * @typedef {object} Receipt
 * @property {string} job_id
 * @property {number} attempt
 * @property {string} report
 * @property {string} report_version
 * @property {Record<string, unknown>} params
 * @property {string} format
 * @property {string} filename
 * @property {number} bytes
 * @property {number} rows
 * @property {string} sha256
 * @property {string} snapshot_at
 * @property {boolean} complete
 * @property {string} created_at
 *
 * @typedef {object} JobEvent
 * @property {EventName} name
 * @property {string | null} id What to resume from; progress has none.
 * @property {string} time
 * @property {EventData} data
 *
 * @typedef {object} EventData
 * @property {string} job_id
 * @property {number} attempt
 * @property {number} [seq]
 * @property {JobState} [state]
 * @property {ProblemBody | null} [error]
 * @property {Refusal[]} [refused] Of `done` only.
 * @property {string | null} [next_attempt_at]
 * @property {Progress} [progress] Of `progress` only.
 * @property {QueuePosition | null} [queue] Of `progress` only.
 * @property {Eta | null} [eta] Of `progress` only.
 *
 * @typedef {object} Session
 * @property {boolean} signed_in
 * @property {string} [tenant]
 * @property {string} [principal]
 * @property {('read' | 'write' | 'admin')[]} [scopes]
 * @property {string} [expires_at]
 * @property {{name: string, title: string}[]} [providers] Where somebody who is not signed in may sign in.
 *
 * @typedef {{jobs: number, rows: number, bytes: number, recipients: number, links: number}} Usage
 * @typedef {Usage & {day: string}} UsageOfDay
 * @typedef {{name: string, of: 'tenant' | 'principal', most: number | null, used: number}} UsageLimit
 * @typedef {{name: string, today: Usage, total: Usage}} NamedUsage
 *
 * @typedef {object} UsageReport
 * @property {string} time_zone
 * @property {string} day
 * @property {string} ends_at
 * @property {{limits: UsageLimit[], days: UsageOfDay[]}} own
 * @property {{limits: UsageLimit[], days: UsageOfDay[], principals: NamedUsage[], reports: NamedUsage[]}} [tenant] With the scope `admin`.
 *
 * @typedef {{name: string, ready: number | null, consumers: number | null}} Queue
 *
 * @typedef {object} Worker
 * @property {string} id
 * @property {string} host
 * @property {number} pid
 * @property {string[]} lanes
 * @property {number} concurrency
 * @property {number} running
 * @property {string} started_at
 * @property {string} heartbeat_at
 *
 * @typedef {object} Delivery
 * @property {string} id
 * @property {string} job_id
 * @property {string} event
 * @property {string} channel
 * @property {string} to
 * @property {'pending' | 'sending' | 'sent' | 'failed'} state
 * @property {number} attempt
 * @property {string | null} next_attempt_at
 * @property {string | null} error
 * @property {string} created_at
 * @property {string | null} sent_at
 *
 * @typedef {{channel: string, to: string, language?: string, time_zone?: string}} Recipient
 *
 * @typedef {object} ScheduleBody What is asked of a schedule; null: as if it were absent.
 * @property {string | null} [title]
 * @property {string} report
 * @property {Record<string, unknown>} [params]
 * @property {string[] | null} [formats]
 * @property {'fail' | 'keep_others'} [on_refusal]
 * @property {Recipient[]} [notify]
 * @property {Recipient[] | null} [alert]
 * @property {string | null} [when] Words or cron, or `on event`. Absent: only when it is asked to.
 * @property {string | null} [latest] Of what fires by event: until when it is there, `07:30` or words or cron.
 * @property {string | null} [zone]
 * @property {string | null} [calendar] Whose holidays count: one of the configuration.
 * @property {'run' | 'skip' | 'before' | 'after' | null} [on_holiday]
 * @property {string | null} [starts_at]
 * @property {string | null} [ends_at]
 * @property {'send' | 'skip' | 'tell'} [on_empty]
 * @property {'skip' | 'queue_one' | 'allow'} [overlap]
 * @property {string | null} [catch_up]
 * @property {string | null} [within]
 * @property {string | null} [alarm_after]
 * @property {number | null} [pause_after]
 *
 * @typedef {object} Occurrence
 * @property {string} nominal What the clock shows in the schedule's zone.
 * @property {string} at
 * @property {Record<string, unknown>} [params] What is relative of them, as it is then.
 *
 * @typedef {object} Firing
 * @property {string} id
 * @property {string | null} nominal Null: somebody asked for it.
 * @property {string | null} data_version
 * @property {string} due_at
 * @property {'fired' | 'missed' | 'skipped' | 'refused'} outcome
 * @property {string | null} job
 * @property {string | null} detail Why it has none.
 * @property {string} at
 * @property {'done' | 'failed' | 'cancelled' | null} ended How its job ended, as far as somebody has looked.
 *
 * @typedef {Firing & {replayed: boolean}} AskedFiring Replayed: the key or the data version came before, and nothing fired now.
 *
 * @typedef {object} ScheduleState
 * @property {string} id
 * @property {string} owner
 * @property {string | null} sentence `when`, in a sentence.
 * @property {'api' | 'catalogue'} origin Who says what it does.
 * @property {string | null} name Its name in the file of its report.
 * @property {'active' | 'paused' | 'ended'} state
 * @property {'asked' | 'failures' | 'owner_gone' | null} paused_why
 * @property {number} failures In a row.
 * @property {Occurrence | null} next
 * @property {Occurrence | null} awaited_until The next of the times at which its event is there at the latest.
 * @property {boolean} waiting The next firing waits for the job of the one before.
 * @property {string | null} last_job
 * @property {string | null} last_sent_at
 * @property {boolean} silent It has sent nothing for longer than `alarm_after`.
 * @property {string} created_at
 * @property {string} updated_at
 *
 * @typedef {Required<ScheduleBody> & ScheduleState & {zone: string, on_holiday: 'run' | 'skip' | 'before' | 'after', notify: Recipient[]}} Schedule
 * @typedef {Schedule & {upcoming: Occurrence[], firings: Firing[]}} ScheduleDetails
 *
 * @typedef {{sentence: string, zone: string, upcoming: Occurrence[]}} SchedulePreview
 *
 * @typedef {object} UpcomingSchedule What comes of one schedule on one day.
 * @property {string} id
 * @property {string | null} title
 * @property {string} report
 * @property {string} owner
 * @property {number} count
 * @property {boolean} more It fires more often than that.
 * @property {string} first
 * @property {string} last
 *
 * @typedef {{zone: string, days: {day: string, schedules: UpcomingSchedule[]}[], complete: boolean}} Upcoming
 */

export {};
