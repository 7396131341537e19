use crate::checked_system::assert_all_hold;
use proof::Bounds;
#[test]
fn scratch() {
    let Ok(text) = std::env::var("B") else { return };
    let mut b = Bounds { ..Bounds::CALM };
    for kv in text.split(',') {
        let (k, v) = kv.split_once('=').unwrap();
        let v: u8 = v.parse().unwrap();
        match k {
            "p" => b.plain_jobs = v, "r" => b.reusing_jobs = v, "w" => b.workers = v, "c" => b.concurrency = v,
            "m" => b.max_attempts = v, "b" => b.bad_ends = v, "h" => b.hand_backs = v, "x" => b.cancels = v,
            "y" => b.replays = v, "f" => b.faults = v, "n" => b.notifiers = v, "rec" => b.recovery = v > 0,
            _ => panic!("{k}"),
        }
    }
    assert_all_hold(&text, b, &[]);
}
