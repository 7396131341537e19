//! Conditions on what a client has already.

use actix_web::HttpRequest;
use actix_web::http::header::IF_NONE_MATCH;

/// Tells whether the client has what this tag stands for: weak comparison, as `If-None-Match` asks for.
#[must_use]
pub fn has_already(request: &HttpRequest, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let names = |given: &str| given.trim() == "*" || given.split(',').any(|one| opaque(one) == opaque(tag));
    request.headers().get_all(IF_NONE_MATCH).any(|given| given.to_str().is_ok_and(names))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn tags_are_compared_weakly_one_by_one_in_every_line() {
        for (lines, expected) in [
            (&["\"a\""][..], true),
            (&["W/\"a\""], true),
            (&["\"b\", W/\"a\""], true),
            (&["\"b\"", "\"a\""], true),
            (&["*"], true),
            (&["\"b\""], false),
            (&["a"], false),
            (&[], false),
        ] {
            let request =
                lines.iter().fold(TestRequest::get(), |request, line| request.append_header((IF_NONE_MATCH, *line)));
            let request = request.to_http_request();
            assert_eq!(has_already(&request, "\"a\""), expected, "{lines:?}");
            assert_eq!(has_already(&request, "W/\"a\""), expected, "{lines:?}");
        }
    }
}
