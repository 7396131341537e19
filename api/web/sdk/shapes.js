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
 */

export {};
