//! What a bucket is set to do by itself: to delete objects after a time, to let anybody read.

use std::time::Duration;

use model::finding::Findings;
use reqwest::StatusCode;

use super::bucket::{Bucket, Kind};
use super::diagnose::{LINK_GOOD_FOR, fetch};

const DAY: Duration = Duration::from_secs(86_400);
/// Each question is one of several; a store that knows it answers at once.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Notes rules that would delete files before their time, and public access. Only S3 can be asked with the keys that we have; where the
/// store does not know the question, or does not let us ask, that is said.
pub(super) async fn look(bucket: &Bucket, kept_for: Duration, findings: &mut Findings) {
    if bucket.kind != Kind::S3 {
        return findings.ok(format!(
            "rules of {} that delete objects cannot be seen from here: see that none acts within the retention of reports",
            bucket.kind.name()
        ));
    }
    match ask(bucket, "lifecycle").await {
        SettingAnswer::Given(rules) => {
            let prefix = bucket.prefix.to_string();
            let early = deleting_after(&rules, &prefix).into_iter().min().filter(|after| *after < kept_for);
            match early {
                Some(after) => findings.warn(
                    format!(
                        "a lifecycle rule deletes files after {} days, and reports keep theirs for up to {} days",
                        after.as_secs() / DAY.as_secs(),
                        kept_for.as_secs().div_ceil(DAY.as_secs()),
                    ),
                    "take the rule away, or have it act later: Waitless deletes files itself",
                ),
                None => findings.ok("no lifecycle rule deletes files before their time"),
            }
        }
        SettingAnswer::None => findings.ok("has no lifecycle rules"),
        SettingAnswer::Unseen => {
            findings.ok("its lifecycle rules cannot be seen with these keys, or it has no such thing");
        }
    }
    if let SettingAnswer::Given(status) = ask(bucket, "policyStatus").await
        && status.contains("<IsPublic>true")
    {
        findings.fail("its policy makes it public", "take public access from the bucket's policy");
    }
}

enum SettingAnswer {
    Given(String),
    /// The store knows the question, and there is nothing.
    None,
    Unseen,
}

async fn ask(bucket: &Bucket, setting: &'static str) -> SettingAnswer {
    let asked = async {
        let link = bucket.sign_setting(setting, LINK_GOOD_FOR).await.ok()?;
        fetch(link.as_str()).await.ok()
    };
    match tokio::time::timeout(ANSWER_WITHIN, asked).await {
        Ok(Some((StatusCode::OK, text))) => SettingAnswer::Given(String::from_utf8_lossy(&text).into_owned()),
        Ok(Some((StatusCode::NOT_FOUND, text)))
            if String::from_utf8_lossy(&text).contains("NoSuchLifecycleConfiguration") =>
        {
            SettingAnswer::None
        }
        _ => SettingAnswer::Unseen,
    }
}

/// Returns after how long each rule that is in force deletes objects below `prefix`.
fn deleting_after(rules: &str, prefix: &str) -> Vec<Duration> {
    let between = |text: &str, open: &str, close: &str| -> Option<String> {
        let (_, rest) = text.split_once(open)?;
        Some(rest.split_once(close)?.0.trim().to_owned())
    };
    let mut found = Vec::new();
    for rule in rules.split("<Rule>").skip(1) {
        let rule = rule.split("</Rule>").next().unwrap_or_default();
        let of = between(rule, "<Prefix>", "</Prefix>").unwrap_or_default();
        let concerns_us = prefix.starts_with(of.as_str()) || of.starts_with(prefix);
        let days = between(rule, "<Expiration>", "</Expiration>").and_then(|text| between(&text, "<Days>", "</Days>"));
        if rule.contains("<Status>Enabled</Status>") && concerns_us {
            found.extend(days.and_then(|days| days.parse::<u32>().ok()).map(|days| DAY * days));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_count_that_are_in_force_and_concern_our_folder() {
        let rule = |status: &str, prefix: &str, days: u32| {
            format!(
                "<Rule><Filter><Prefix>{prefix}</Prefix></Filter><Status>{status}</Status>\
                 <Expiration><Days>{days}</Days></Expiration></Rule>"
            )
        };
        let rules = [
            rule("Enabled", "", 3),
            rule("Disabled", "", 1),
            rule("Enabled", "other", 2),
            rule("Enabled", "reports/x", 5),
        ];
        let rules = format!("<LifecycleConfiguration>{}</LifecycleConfiguration>", rules.concat());
        assert_eq!(deleting_after(&rules, "reports"), [DAY * 3, DAY * 5]);
        let abort = "<Rule><Prefix></Prefix><Status>Enabled</Status><AbortIncompleteMultipartUpload><DaysAfterInitiation>1\
                     </DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>";
        assert_eq!(deleting_after(abort, ""), []);
    }
}
