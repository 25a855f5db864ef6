//! One request, read and named.
//!
//! The service comes from the signature's credential scope, which every AWS client writes, the action from
//! where the service's protocol keeps it. Signatures are not checked: moto does not check them either.

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::{
    HeaderMap, Method, Request,
    body::Incoming,
    header::{AUTHORIZATION, HeaderName},
};

use super::form::{Form, decode};

/// A terraform state is far smaller.
const MAX_BODY: usize = 64 << 20;

/// A request from a client.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// `ec2`, `autoscaling`, `elasticloadbalancing`, `s3`, `sts`, …; empty where the request is not signed.
    pub(crate) service: String,
    /// The action, for example `DescribeInstances`.
    pub(crate) action: String,
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    /// The fields of a query protocol's request; empty for the others.
    pub(crate) form: Form,
    pub(crate) body: Bytes,
}

impl Call {
    /// Reads a request with its body.
    pub(crate) async fn read(request: Request<Incoming>) -> Result<Call> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, MAX_BODY)
            .collect()
            .await
            .map_err(|error| anyhow::anyhow!(error))
            .context("Failed to read a request's body")?
            .to_bytes();
        let path = head
            .uri
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .to_owned();
        Call::of(head.method, path, head.headers, body)
    }

    /// Names a request.
    pub(crate) fn of(
        method: Method,
        path: String,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Call> {
        let query = path.split_once('?').map_or("", |(_, query)| query);
        let service = service(&headers, query);
        let content = text(&headers, "content-type");
        let form = if content.starts_with("application/x-www-form-urlencoded") {
            Form::parse(&String::from_utf8_lossy(&body))?
        } else if service != "s3" && !query.is_empty() {
            Form::parse(query)?
        } else {
            Form::default()
        };
        let target = text(&headers, "x-amz-target");
        let action = match form.get("Action") {
            Some(action) => action.to_owned(),
            None if !target.is_empty() => target.rsplit('.').next().unwrap_or_default().to_owned(),
            // The Recycle Bin names its one action that is asked here by its path.
            None if service == "rbin" && path == "/list-rules" => "ListRules".to_owned(),
            None => object_action(&method, &path, query, &headers),
        };
        Ok(Call {
            service,
            action,
            method,
            path,
            headers,
            form,
            body,
        })
    }

    /// The id of the key that the request is signed with; empty where it is not signed.
    pub(crate) fn key(&self) -> String {
        let query = self.path.split_once('?').map_or("", |(_, query)| query);
        of_scope(&self.headers, query, 0)
    }

    /// Takes over the fields as the body that moto gets.
    pub(crate) fn use_form(&mut self, form: Form) {
        self.body = Bytes::from(form.encode());
        self.form = form;
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let name = HeaderName::from_bytes(name.as_bytes()).ok();
    name.and_then(|name| headers.get(name))
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// The service in `Credential=KEY/20261123/us-east-1/SERVICE/aws4_request`.
fn service(headers: &HeaderMap, query: &str) -> String {
    of_scope(headers, query, 3)
}

/// A part of the credential scope; empty where the request is not signed.
fn of_scope(headers: &HeaderMap, query: &str, part: usize) -> String {
    let header = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let from_header = header
        .split_once("Credential=")
        .map(|(_, rest)| rest.to_owned());
    let from_query = || {
        query
            .split_once("X-Amz-Credential=")
            .map(|(_, rest)| decode(rest))
    };
    let scope = from_header.or_else(from_query).unwrap_or_default();
    let scope = scope.split([',', '&', ' ']).next().unwrap_or_default();
    scope.split('/').nth(part).unwrap_or_default().to_owned()
}

/// What S3 calls a request of this method and path; path-style addresses are taken for granted, as every
/// client here uses them. Elsewhere it is only a name for the log.
fn object_action(method: &Method, path: &str, query: &str, headers: &HeaderMap) -> String {
    let key = path
        .split('?')
        .next()
        .unwrap_or_default()
        .trim_start_matches('/')
        .split_once('/');
    let is_object = key.is_some_and(|(_, key)| !key.is_empty());
    let sub = query.split(['=', '&']).next().unwrap_or_default();
    let known = [
        "versioning",
        "encryption",
        "policy",
        "publicAccessBlock",
        "acl",
        "location",
        "tagging",
        "object-lock",
        "lifecycle",
    ];
    let verb = match *method {
        Method::GET => "Get",
        Method::HEAD => "Head",
        Method::PUT => "Put",
        Method::DELETE => "Delete",
        Method::POST => "Post",
        _ => "Other",
    };
    match (verb, is_object) {
        (_, false) if known.contains(&sub) => {
            let mut name = sub.to_owned();
            if let Some(first) = name.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            format!("{verb}Bucket{name}")
        }
        ("Get", false) if path.split('?').next() == Some("/") => "ListBuckets".to_owned(),
        ("Get", false) => "ListObjects".to_owned(),
        ("Put", false) => "CreateBucket".to_owned(),
        (verb, false) => format!("{verb}Bucket"),
        ("Put", true) if headers.contains_key("x-amz-copy-source") => "CopyObject".to_owned(),
        (verb, true) => format!("{verb}Object"),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn call(
        method: Method,
        path: &str,
        scope: &str,
        kind: &'static str,
        body: &'static str,
    ) -> Call {
        let mut headers = HeaderMap::new();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=test/20261123/us-east-1/{scope}/aws4_request, SignedHeaders=host, Signature=0"
        );
        headers.insert(
            AUTHORIZATION,
            HeaderValue::from_str(&authorization).unwrap(),
        );
        headers.insert("content-type", HeaderValue::from_static(kind));
        Call::of(method, path.to_owned(), headers, Bytes::from(body)).unwrap()
    }

    #[test]
    fn requests_are_named_by_their_services_own_protocol() {
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        let query = call(
            Method::POST,
            "/",
            "autoscaling",
            form,
            "Action=DescribeAutoScalingGroups&Version=2011-01-01",
        );
        assert_eq!(
            (&*query.service, &*query.action),
            ("autoscaling", "DescribeAutoScalingGroups")
        );
        assert_eq!(query.key(), "test");
        for (method, path, action) in [
            (
                Method::PUT,
                "/state/live/app/terraform.tfstate.tflock",
                "PutObject",
            ),
            (Method::HEAD, "/state", "HeadBucket"),
            (Method::PUT, "/state?versioning", "PutBucketVersioning"),
            (Method::PUT, "/state", "CreateBucket"),
            (Method::GET, "/state?list-type=2&prefix=x", "ListObjects"),
        ] {
            assert_eq!(call(method, path, "s3", "", "").action, action, "{path}");
        }
    }
}
