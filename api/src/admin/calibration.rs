//! `GET /v1/admin/calibration`.

use actix_web::{HttpResponse, web};
use model::forecast::{Calibration, FinishedRun};
use serde::Serialize;
use store::RunsQuery;
use utoipa::ToSchema;

use crate::auth::Identity;
use crate::error::ApiResult;
use crate::gateway::Gateway;

/// Newest runs of each report that are looked at.
const RUNS: u32 = 500;

/// How often the truth fell where a submit was told that it would.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReportCalibration)]
pub struct CalibrationView {
    /// The report; null for all of them together.
    report: Option<String>,
    /// Jobs that were told a time of arrival and are done.
    forecasts: u32,
    /// Of those, ready between `p10` and `p90`, in percent; eighty would be right. Null where there are none.
    inside: Option<f64>,
    /// Ready before `p10`, in percent; ten would be right.
    early: Option<f64>,
    /// Ready after `p90`, in percent; ten would be right.
    late: Option<f64>,
    /// Ready by `p50`, in percent; fifty would be right.
    by_p50: Option<f64>,
}

/// Calibration of times of arrival.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Calibration)]
pub struct CalibrationsView {
    /// Every report together.
    all: CalibrationView,
    /// By name; those that foretold nothing are left out.
    reports: Vec<CalibrationView>,
}

impl CalibrationView {
    fn of(report: Option<String>, counted: Calibration) -> Self {
        Self {
            report,
            forecasts: counted.forecasts,
            inside: counted.percent(counted.inside),
            early: counted.percent(counted.early),
            late: counted.percent(counted.late),
            by_p50: counted.percent(counted.by_p50),
        }
    }
}

/// Says how often the tenant's newest jobs were ready when their submit was told that they would be: the newest 500 of each
/// report of the catalogue.
#[utoipa::path(get, path = "/v1/admin/calibration", tag = "admin",
    responses((status = 200, description = "By report, and of all", body = CalibrationsView))
)]
pub async fn read(gateway: web::Data<Gateway>, identity: Identity) -> ApiResult {
    let snapshot = gateway.catalogue.snapshot();
    let visible = snapshot.reports.values().filter(|report| identity.may_run(report));
    let names: Vec<String> = visible.map(|report| report.name.clone()).collect();
    let of = |report: &String| RunsQuery { tenant: identity.tenant.clone(), report: report.clone(), after: None };
    let runs = gateway.store.finished_runs(names.iter().map(of).collect(), RUNS).await?;
    let mut all = Calibration::default();
    let mut reports = Vec::new();
    for (name, runs) in names.into_iter().zip(&runs) {
        let counted = count(runs);
        all.merge(&counted);
        if counted.forecasts > 0 {
            reports.push(CalibrationView::of(Some(name), counted));
        }
    }
    Ok(HttpResponse::Ok().json(CalibrationsView { all: CalibrationView::of(None, all), reports }))
}

fn count(runs: &[FinishedRun]) -> Calibration {
    let mut counted = Calibration::default();
    for run in runs {
        if let (Some(eta), Some(total)) = (run.forecast.and_then(|forecast| forecast.eta), run.total_ms) {
            counted.add(eta, total);
        }
    }
    counted
}
