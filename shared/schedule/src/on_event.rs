//! What fires once its data are there has no times of its own. It may have times at which they are there at the latest.

use model::schedule::ON_EVENT;

use super::when::{When, WhenFault};

/// What a `when` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// It has times.
    Times(Box<When>),
    /// It fires once its data are there.
    Event,
}

impl std::str::FromStr for Trigger {
    type Err = WhenFault;

    fn from_str(text: &str) -> Result<Self, WhenFault> {
        if words(text).eq(ON_EVENT.split(' ')) {
            return Ok(Self::Event);
        }
        text.parse().map(|when| Self::Times(Box::new(when)))
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split_whitespace().map(str::to_lowercase)
}

/// Reads at what times an event is there at the latest: a time of the day, `07:30`, which is that of every day; or words or cron.
///
/// # Errors
/// Says for people what is wrong with it.
pub fn read_latest(text: &str) -> Result<When, WhenFault> {
    let text = text.trim();
    let is_time = text.split_once(':').is_some_and(|(hour, minute)| {
        let are_digits = |part: &str, most: usize| {
            (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        are_digits(hour, 2) && are_digits(minute, 2)
    });
    if is_time { format!("every day at {text}").parse() } else { text.parse() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_told_from_times_however_it_is_spaced() {
        for text in ["on event", " On  Event "] {
            assert_eq!(text.parse(), Ok(Trigger::Event), "{text}");
        }
        assert!(matches!("every day at 07:30".parse(), Ok(Trigger::Times(_))));
        assert!(matches!("30 7 * * *".parse(), Ok(Trigger::Times(_))));
        for text in ["on events", "event", "", "on"] {
            assert!(text.parse::<Trigger>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_latest_time_is_one_of_every_day_or_of_some() {
        let sentence = |text: &str| read_latest(text).map(|when| when.sentence()).map_err(|fault| fault.detail);
        assert_eq!(sentence("07:30"), Ok("every day at 07:30".to_owned()));
        assert_eq!(sentence(" 7:30 "), Ok("every day at 07:30".to_owned()));
        assert_eq!(sentence("every weekday at 06:00"), Ok("every weekday at 06:00".to_owned()));
        for text in ["25:00", "07:61", "on event", "", "7"] {
            assert!(sentence(text).is_err(), "{text}");
        }
    }
}
