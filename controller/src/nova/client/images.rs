//! Which images carry a label: asked of Glance, the one service beside Keystone and Nova.
//!
//! Glance filters, so that a cloud of many images answers a few rows: by tag, and by a property that is true, as its
//! command line writes it (`true`) and as Python does (`True`). It leaves hidden images and community images out unless
//! it is asked for them, and a server keeps an image that was hidden since. Each row is looked at again: a proxy, or a
//! Glance that knows a filter not, must not label every image.

use std::collections::BTreeSet;

use reqwest::Url;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::Instant;
use uuid::Uuid;

use super::Client;
use super::answer::parse;
use super::read::not_ready;
use super::request::{PAGE_ROWS, Request};
use super::transport::{Answered, clip};
use crate::nova::call::ReadFailure;

/// A list with more pages than this (of 1000) is not believed.
const MAX_PAGES: usize = 10;

type Filter<'a> = [(&'a str, &'a str); 3];

impl Client {
    /// Ids of the images that carry the label: all of them, or none.
    pub(super) async fn images(
        &self,
        label: &str,
        request: &Request,
        limit: Instant,
    ) -> Result<BTreeSet<String>, ReadFailure> {
        let mut found = BTreeSet::new();
        for hidden in ["false", "true"] {
            for (key, value) in [("tag", label), (label, "true"), (label, "True")] {
                let filter = [(key, value), ("os_hidden", hidden), ("visibility", "all")];
                self.images_by(label, request, filter, limit, &mut found).await?;
            }
        }
        Ok(found)
    }

    /// All pages of one filter.
    async fn images_by(
        &self,
        label: &str,
        request: &Request,
        filter: Filter<'_>,
        limit: Instant,
        found: &mut BTreeSet<String>,
    ) -> Result<(), ReadFailure> {
        let mut marker: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let body = self.glance(request, filter, marker.as_deref(), limit).await?;
            let list: List = parse(&body)?;
            found.extend(list.images.iter().filter(|row| row.carries(label)).map(Row::id));
            let next = next_marker(list.next.as_deref())?;
            if next.is_none() {
                return Ok(());
            }
            if next == marker {
                return Err(ReadFailure::NotNova("a page that leads to itself".to_string()));
            }
            marker = next;
        }
        Err(ReadFailure::NotNova(format!("more than {MAX_PAGES} pages of images")))
    }

    /// One page. A 401 gets one new token, as with Nova.
    async fn glance(
        &self,
        request: &Request,
        filter: Filter<'_>,
        marker: Option<&str>,
        limit: Instant,
    ) -> Result<Vec<u8>, ReadFailure> {
        let mut token_renewed = false;
        loop {
            let token = self.token(limit).await.map_err(not_ready)?;
            let endpoint =
                token.images.as_ref().map_err(|why| ReadFailure::NotNova(why.clone()))?;
            let mut url: Url = request
                .url(endpoint)
                .ok_or_else(|| ReadFailure::NotNova("unusable endpoint address".to_string()))?;
            url.query_pairs_mut()
                .extend_pairs(filter)
                .append_pair("limit", PAGE_ROWS)
                .extend_pairs(marker.map(|marker| ("marker", marker)));
            let http = self.shared.transport.request(request.method.clone(), url);
            let http = http.header("X-Auth-Token", token.secret.clone());
            let limit = limit.min(Instant::now() + request.limit);
            let answered = self.shared.transport.send(http, limit).await;
            let answered = answered.map_err(|failure| ReadFailure::Unavailable(failure.text()))?;
            if answered.status == 401 && !token_renewed {
                token_renewed = true;
                self.shared.tokens.lock().await.refused(&token);
                continue;
            }
            return judge(answered);
        }
    }
}

/// Glance's errors are pages of HTML: the status is all that they say.
fn judge(answered: Answered) -> Result<Vec<u8>, ReadFailure> {
    match answered.status {
        200 => Ok(answered.body),
        status @ (401 | 403) => {
            let why = format!("status {status}: the credential may not list images");
            Err(ReadFailure::NoRight(why))
        }
        status @ (408 | 413 | 429 | 500..) => {
            Err(ReadFailure::Unavailable(format!("status {status}")))
        }
        status => Err(ReadFailure::NotNova(format!("status {status}"))),
    }
}

#[derive(Deserialize)]
struct List {
    images: Vec<Row>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Row {
    id: Uuid,
    #[serde(default)]
    tags: Vec<String>,
    /// Everything else; an image's properties stand among its fields.
    #[serde(flatten)]
    properties: Map<String, Value>,
}

impl Row {
    fn id(&self) -> String {
        self.id.to_string()
    }

    fn carries(&self, label: &str) -> bool {
        let property = self.properties.get(label).and_then(Value::as_str);
        self.tags.iter().any(|tag| tag == label)
            || property.is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

/// The marker of the next page. Only that is taken from the link; the address we make ourselves.
fn next_marker(next: Option<&str>) -> Result<Option<String>, ReadFailure> {
    let Some(next) = next else { return Ok(None) };
    let marker = next.split(['?', '&']).find_map(|pair| pair.strip_prefix("marker="));
    let marker: Option<Uuid> = marker.and_then(|text| text.parse().ok());
    match marker {
        Some(marker) => Ok(Some(marker.to_string())),
        None => Err(ReadFailure::NotNova(format!(
            "a `next` link without a usable marker: {}",
            clip(next)
        ))),
    }
}
