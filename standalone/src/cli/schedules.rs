//! `waitless schedules …`.

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::gateway::parse_param;
use super::{GatewayArgs, OutputOptions};

#[derive(Debug, Args)]
pub(crate) struct Schedules {
    #[command(subcommand)]
    pub(crate) command: Option<SchedulesCommand>,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) server: GatewayArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SchedulesCommand {
    /// List your schedules; also without a command
    List {
        /// Those of everybody in the tenant, for operators
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        output: OutputOptions,
        #[command(flatten)]
        server: GatewayArgs,
    },
    /// Show one: when it fires, its next ten times, its newest firings
    Show(ScheduleArgs),
    /// Have a report come by itself
    Create(Box<CreateSchedule>),
    /// Have one not fire until it is resumed
    Pause(ScheduleArgs),
    /// Have one go on, from now
    Resume(ScheduleArgs),
    /// Have one fire now; its own times stay
    Run {
        #[command(flatten)]
        schedule: ScheduleArgs,
        /// Which state of the data it is about: it fires once for each
        #[arg(long, value_name = "NAME")]
        data_version: Option<String>,
        /// The same key is the same firing
        #[arg(long, value_name = "KEY")]
        idempotency_key: Option<String>,
    },
    /// Remove one; the jobs it submitted stay
    Delete(ScheduleArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ScheduleArgs {
    /// The schedule's id
    pub(crate) id: Uuid,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) server: GatewayArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CreateSchedule {
    /// Name of the report; `waitless reports` lists them
    pub(crate) report: String,
    /// When: words such as "every weekday at 07:30", or cron; "on event": once its data are there, which `run --data-version` says;
    /// without it, it fires only when it is asked to
    #[arg(long)]
    pub(crate) when: Option<String>,
    /// With "on event": tell those who hear of what goes wrong when the event is not there by then, such as 07:30
    #[arg(long, value_name = "TIME")]
    pub(crate) latest: Option<String>,
    /// The zone its clock shows: an IANA name [default: the tenant's]
    #[arg(long)]
    pub(crate) zone: Option<String>,
    /// Whose holidays count: a calendar of the configuration
    #[arg(long, value_name = "NAME")]
    pub(crate) calendar: Option<String>,
    /// A time on a holiday of the calendar: run, skip, before or after
    #[arg(long)]
    pub(crate) on_holiday: Option<String>,
    /// What people call it
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// A parameter; repeat it for the elements of a list
    #[arg(long = "param", short, value_name = "NAME=VALUE", value_parser = parse_param)]
    pub(crate) params: Vec<(String, String)>,
    /// Format of the file; repeat it for several
    #[arg(long = "format", short, value_name = "FORMAT")]
    pub(crate) formats: Vec<String>,
    /// Mail a link to this address; may be repeated
    #[arg(long = "email", value_name = "ADDRESS")]
    pub(crate) emails: Vec<String>,
    /// Tell this webhook of the configuration; may be repeated
    #[arg(long = "webhook", value_name = "NAME")]
    pub(crate) webhooks: Vec<String>,
    /// Tell this address of what goes wrong; may be repeated [default: whoever gets the report]
    #[arg(long = "alert", value_name = "ADDRESS")]
    pub(crate) alerts: Vec<String>,
    /// What recipients get when there are no rows: send, skip or tell
    #[arg(long)]
    pub(crate) on_empty: Option<String>,
    /// A firing while the job of the one before has not ended: skip, queue_one or allow
    #[arg(long)]
    pub(crate) overlap: Option<String>,
    /// A firing that comes later than this is missed, such as 1h
    #[arg(long, value_name = "DURATION")]
    pub(crate) catch_up: Option<String>,
    /// Spread schedules over this time, such as 15m
    #[arg(long, value_name = "DURATION")]
    pub(crate) within: Option<String>,
    /// Alarm when nothing was sent for so long, such as 26h
    #[arg(long, value_name = "DURATION")]
    pub(crate) alarm_after: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
    #[command(flatten)]
    pub(crate) server: GatewayArgs,
}
