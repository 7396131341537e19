//! Who is to be told when a job ends: checked like the rest of a submit.

use model::delivery::{Channel, Notify};
use model::locale::{Language, time_zone};
use model::problem::FieldError;
use model::recipient::RecipientError;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::closed_sets::ChannelName;
use crate::recipients::RecipientRules;

use super::check_fields::{check_array, refuse_unknown, wrong};

/// Most recipients of one job.
const MAX_NOTIFY: usize = 20;

/// A wish to be told.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
#[schema(as = Notify)]
#[serde(deny_unknown_fields)]
pub struct NotifyBody {
    /// How.
    #[schema(value_type = ChannelName)]
    channel: String,
    /// A mail address; of the channel `webhook` the name of one.
    to: String,
    /// The reader's language: `en`, `de`, `fr`, `es`, `zh`, or a tag such as `de-AT`; that of `Accept-Language` when absent.
    language: Option<String>,
    /// The reader's time zone: an IANA name such as `Europe/Berlin`; the tenant's when absent.
    time_zone: Option<String>,
}

pub(super) fn check_notify(
    rules: &RecipientRules<'_>,
    given: Option<Value>,
    errors: &mut Vec<FieldError>,
) -> Option<Vec<Notify>> {
    let Some(given) = given else { return Some(Vec::new()) };
    check_recipients(rules, "/notify", given, errors)
}

/// Checks a list of recipients that stands at `at`.
pub(crate) fn check_recipients(
    rules: &RecipientRules<'_>,
    at: &str,
    given: Value,
    errors: &mut Vec<FieldError>,
) -> Option<Vec<Notify>> {
    let items = check_array(Some(given), at, errors)?;
    if items.len() > MAX_NOTIFY {
        errors.push(wrong(at, format!("may have at most {MAX_NOTIFY} elements")));
        return None;
    }
    let mut notify: Vec<Notify> = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let pointer = format!("{at}/{index}");
        let Some(one) = check_one(rules, item, &pointer, errors) else { continue };
        if notify.iter().any(|other| other.channel == one.channel && other.to.eq_ignore_ascii_case(&one.to)) {
            errors.push(wrong(format!("{pointer}/to"), "is there twice"));
        } else {
            notify.push(one);
        }
    }
    Some(notify)
}

fn check_one(rules: &RecipientRules<'_>, item: Value, pointer: &str, errors: &mut Vec<FieldError>) -> Option<Notify> {
    let Value::Object(mut fields) = item else {
        errors.push(wrong(pointer, "must be an object with channel and to"));
        return None;
    };
    let channel = fields.remove("channel").and_then(|name| name.as_str().and_then(|name| name.parse::<Channel>().ok()));
    if channel.is_none() {
        let names: Vec<String> = Channel::ALL.iter().map(|channel| format!("\"{}\"", channel.as_str())).collect();
        errors.push(wrong(format!("{pointer}/channel"), format!("must be {}", names.join(" or "))));
    }
    // Of a channel that nobody knows it cannot be told what its recipients look like.
    let to = fields.remove("to");
    let to = channel.and_then(|channel| check_recipient(channel, rules, to, format!("{pointer}/to"), errors));
    let language = check_named(fields.remove("language"), format!("{pointer}/language"), errors, |tag| {
        Language::of_tag(tag).map(|language| language.to_string()).ok_or("must be one of: en, de, fr, es, zh")
    });
    let time_zone = check_named(fields.remove("time_zone"), format!("{pointer}/time_zone"), errors, |name| {
        let known = time_zone(name).map(|zone| zone.name().to_owned());
        known.ok_or("must be an IANA time zone, such as \"Europe/Berlin\"")
    });
    refuse_unknown(&fields, pointer, "channel, to, language and time_zone", errors);
    Some(Notify { channel: channel?, to: to?, language, time_zone, on_empty: None })
}

/// Returns a recipient, also one whom nothing may be sent to.
fn check_recipient(
    channel: Channel,
    rules: &RecipientRules<'_>,
    given: Option<Value>,
    pointer: String,
    errors: &mut Vec<FieldError>,
) -> Option<String> {
    let to = if let Some(Value::String(to)) = given { to } else { String::new() };
    match channel.write_recipient(&to).and_then(|to| rules.check(channel, &to).map(|()| to)) {
        Ok(to) => Some(to),
        Err(RecipientError::NotAllowed) => {
            errors.push(wrong(pointer, "is not an address this service may send mail to"));
            Some(to)
        }
        // The same whether there is none, another tenant has it, or a token leaves it out.
        Err(RecipientError::NoSuchWebhook) => {
            let detail = "names no webhook that you may tell; an operator lists your tenant in its tenants, [webhooks.<name>], and a \
                          token has \"webhook:<name>\" among its recipients";
            errors.push(wrong(pointer, detail));
            Some(to)
        }
        Err(RecipientError::LocalPartBeyondAscii) => {
            let detail =
                "has characters beyond ASCII before the @, which many mail servers do not take; give another address";
            errors.push(wrong(pointer, detail));
            None
        }
        Err(RecipientError::NotAnAddress | RecipientError::NotAName) => {
            errors.push(wrong(pointer, format!("must be {}", channel.recipient())));
            None
        }
    }
}

/// Checks a name that may be left out.
fn check_named(
    given: Option<Value>,
    pointer: String,
    errors: &mut Vec<FieldError>,
    read: impl Fn(&str) -> Result<String, &'static str>,
) -> Option<String> {
    let given = given.filter(|given| !given.is_null())?;
    read(given.as_str().unwrap_or_default()).map_err(|detail| errors.push(wrong(pointer, detail))).ok()
}
