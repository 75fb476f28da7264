//! Lists come in pages; the header `Link` tells where the next one is.

use http::HeaderMap;
use http::header::LINK;
use url::Url;

use crate::ClientError;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// In the order of the list.
    pub items: Vec<T>,
    /// The `cursor` of the next page; none when this is the last.
    pub next: Option<String>,
}

pub(crate) fn next_cursor(headers: &HeaderMap, base_url: &Url) -> Result<Option<String>, ClientError> {
    let links = headers
        .get_all(LINK)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let Some(target) = links
        .flat_map(parse)
        .find(|link| link.is_next)
        .map(|link| link.target)
    else {
        return Ok(None);
    };
    let url = base_url
        .join(target)
        .map_err(|error| ClientError::protocol_from("the link to the next page is no URL", error))?;
    let cursor = url
        .query_pairs()
        .find(|(name, _)| name == "cursor")
        .map(|(_, value)| value.into_owned());
    // Taking it for the last page would drop the rest in silence.
    cursor
        .map(Some)
        .ok_or_else(|| ClientError::protocol("the link to the next page has no cursor"))
}

struct Link<'a> {
    target: &'a str,
    is_next: bool,
}

/// The links of one header value (RFC 8288). Targets may have commas and semicolons; those of the broker have no quoted ones.
fn parse(value: &str) -> Vec<Link<'_>> {
    let mut links = Vec::new();
    let mut rest = value;
    while let Some((_, opened)) = rest.split_once('<') {
        let Some((target, after)) = opened.split_once('>') else {
            break;
        };
        let (parameters, following) = after.split_once(',').unwrap_or((after, ""));
        links.push(Link {
            target,
            is_next: parameters.split(';').any(relates_to_next),
        });
        rest = following;
    }
    links
}

fn relates_to_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return false;
    };
    let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
    name.trim().eq_ignore_ascii_case("rel") && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor_of(link: &str) -> Result<Option<String>, ClientError> {
        let mut headers = HeaderMap::new();
        headers.insert(LINK, link.parse().unwrap());
        next_cursor(&headers, &Url::parse("http://broker/prefix/").unwrap())
    }

    #[test]
    fn the_cursor_of_the_next_page_is_found() {
        let found = |link: &str| cursor_of(link).unwrap();
        assert_eq!(
            found("</api/v1/agents?limit=2&cursor=a%2Cb>; rel=\"next\"").as_deref(),
            Some("a,b")
        );
        assert_eq!(
            found("<https://x/?cursor=a,b;c>; rel=next").as_deref(),
            Some("a,b;c")
        );
        assert_eq!(
            found("</a?cursor=1>; rel=\"prev\", </a?cursor=2>; rel=\"last next\"").as_deref(),
            Some("2")
        );
    }

    #[test]
    fn the_last_page_has_no_cursor() {
        assert_eq!(
            next_cursor(&HeaderMap::new(), &Url::parse("http://broker").unwrap()).unwrap(),
            None
        );
        for link in [
            "</a?cursor=1>; rel=\"prev\"",
            "nonsense",
            "<unclosed",
            "</a?cursor=1>; title=\"next\"",
        ] {
            assert_eq!(cursor_of(link).unwrap(), None, "{link}");
        }
    }

    #[test]
    fn a_next_page_without_a_cursor_is_not_taken_for_the_end() {
        assert!(cursor_of("</api/v1/agents?page=2>; rel=\"next\"").is_err());
    }
}
