//! The proxy against an upstream that answers what it is told and remembers what it was asked.

use std::sync::{Arc, Mutex};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{
        ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue,
    },
};

use super::{Answer, Fault, FaultKind, Proxy, Upstream};
use crate::server::{Body, Dropped, Server, answer, full};

/// What the upstream was asked: method, path, headers, body.
type Asked = (Method, String, HeaderMap, Bytes);

struct World {
    proxy: Proxy,
    asked: Arc<Mutex<Vec<Asked>>>,
    _upstream: Server,
}

impl World {
    /// A proxy in front of an upstream that answers each form by `say`.
    fn new(say: fn(&Asked) -> Response<Body>) -> World {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let handler = {
            let asked = Arc::clone(&asked);
            move |request: Request<Incoming>| {
                let asked = Arc::clone(&asked);
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
                    let one = (head.method, head.uri.to_string(), head.headers, body);
                    let said = say(&one);
                    asked.lock().unwrap().push(one);
                    Ok(said)
                }
            }
        };
        let upstream = Server::start("fake", handler, async {}).unwrap();
        World {
            proxy: Proxy::start(upstream.addr()).unwrap(),
            asked,
            _upstream: upstream,
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        service: &str,
        body: &'static str,
    ) -> Result<Answer> {
        let mut headers = HeaderMap::new();
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential=k/20261123/us-east-1/{service}/aws4_request, x");
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&authorization)?);
        headers.insert(HOST, HeaderValue::from_static("aws.example"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let kind = if service == "s3" {
            "application/octet-stream"
        } else {
            "application/x-www-form-urlencoded"
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        let addr = self.proxy.server.addr();
        Upstream::new(addr)
            .send(method, path, headers, Bytes::from_static(body.as_bytes()))
            .await
    }

    /// Sends a form and answers status and body.
    async fn ask(&self, service: &str, form: &'static str) -> Result<(u16, String)> {
        let answer = self.send(Method::POST, "/", service, form).await?;
        Ok((
            answer.status.as_u16(),
            String::from_utf8_lossy(&answer.body).into_owned(),
        ))
    }

    fn forms(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .map(|(_, _, _, body)| String::from_utf8_lossy(body).into_owned())
            .collect()
    }

    fn fault(
        &self,
        service: &str,
        action: &str,
        naming: Option<&str>,
        times: Option<u32>,
        kind: FaultKind,
    ) {
        self.proxy.rules().fault(Fault {
            service: service.to_owned(),
            action: action.to_owned(),
            naming: naming.map(str::to_owned),
            times,
            kind,
        });
    }
}

fn ok(_: &Asked) -> Response<Body> {
    answer(
        StatusCode::OK,
        "text/xml",
        "<R><XResult><NextToken>page-2</NextToken></XResult></R>",
    )
}

#[tokio::test]
async fn an_object_passes_through_byte_by_byte_with_the_clients_host() {
    let world = World::new(|_| {
        let mut response = Response::new(full(""));
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        response.headers_mut().insert(
            HeaderName::from_static("etag"),
            HeaderValue::from_static("\"x\""),
        );
        response
    });
    let body = "Action=No&this is=not%zza form\0\r\n";
    let path = "/state/live/app%20x/terraform.tfstate.tflock?x-id=PutObject";
    let answer = world.send(Method::PUT, path, "s3", body).await.unwrap();
    assert_eq!(
        (answer.status, &answer.headers["etag"]),
        (StatusCode::OK, &HeaderValue::from_static("\"x\""))
    );
    let asked = world.asked.lock().unwrap();
    let (method, asked_path, headers, asked_body) = &asked[0];
    assert_eq!(
        (method, asked_path.as_str(), &asked_body[..]),
        (&Method::PUT, path, body.as_bytes())
    );
    assert_eq!(headers[HOST], "aws.example");
    assert!(!headers.contains_key(ACCEPT_ENCODING));
    let seen = world.proxy.requests();
    assert_eq!(
        (&*seen[0].service, &*seen[0].action, seen[0].status),
        ("s3", "PutObject", Some(200))
    );
}

#[tokio::test]
async fn a_heads_length_is_that_of_the_body_that_does_not_come() {
    let world = World::new(|_| {
        let mut response = Response::new(full(""));
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from_static("1234"));
        response
    });
    let answer = world
        .send(Method::HEAD, "/state/key", "s3", "")
        .await
        .unwrap();
    assert_eq!(answer.headers[CONTENT_LENGTH], "1234");
}

#[tokio::test]
async fn each_service_gets_errors_in_its_own_form_and_the_upstream_nothing() {
    let world = World::new(ok);
    for (service, kind, status, starts, code) in [
        (
            "ec2",
            FaultKind::Throttle,
            503,
            "<Response><Errors><Error>",
            "RequestLimitExceeded",
        ),
        (
            "autoscaling",
            FaultKind::Throttle,
            400,
            "<ErrorResponse><Error><Type>Sender",
            "Throttling",
        ),
        (
            "elasticloadbalancing",
            FaultKind::Throttle,
            400,
            "<ErrorResponse><Error>",
            "Throttling",
        ),
        (
            "ec2",
            FaultKind::Status(500),
            500,
            "<Response><Errors><Error>",
            "InternalError",
        ),
        (
            "autoscaling",
            FaultKind::Status(500),
            500,
            "<ErrorResponse><Error><Type>Receiver",
            "InternalFailure",
        ),
        (
            "autoscaling",
            FaultKind::Status(403),
            403,
            "<ErrorResponse><Error>",
            "AccessDenied",
        ),
    ] {
        world.fault(service, "Describe*", None, Some(1), kind);
        let (got, body) = world.ask(service, "Action=DescribeThings").await.unwrap();
        assert_eq!(got, status);
        assert!(
            body.contains(starts) && body.contains(&format!("<Code>{code}</Code>")),
            "{body}"
        );
    }
    assert!(world.forms().is_empty());
    // All of them are used up.
    assert_eq!(
        world.ask("ec2", "Action=DescribeThings").await.unwrap().0,
        200
    );
}

#[tokio::test]
async fn a_fault_is_played_as_often_and_on_what_it_names() {
    let world = World::new(ok);
    world.fault(
        "autoscaling",
        "Update*",
        Some("web-1"),
        Some(2),
        FaultKind::Status(500),
    );
    let mut got = Vec::new();
    for form in [
        "Action=UpdateThing&Name=web-2",
        "Action=UpdateThing&Name=web-1",
        "Action=DescribeThing&Name=web-1",
        "Action=UpdateThing&Name=web-1",
        "Action=UpdateThing&Name=web-1",
    ] {
        got.push(world.ask("autoscaling", form).await.unwrap().0);
    }
    assert_eq!(got, [200, 500, 200, 500, 200]);
    world.fault("", "*", None, None, FaultKind::Status(503));
    assert_eq!(
        world
            .ask("sts", "Action=GetCallerIdentity")
            .await
            .unwrap()
            .0,
        503
    );
    world.proxy.rules().clear_faults();
    assert_eq!(
        world
            .ask("sts", "Action=GetCallerIdentity")
            .await
            .unwrap()
            .0,
        200
    );
}

#[tokio::test]
async fn a_dropped_connection_does_nothing_and_a_cut_answer_was_carried_out() {
    let world = World::new(ok);
    world.fault("*", "*", None, Some(1), FaultKind::DropConnection);
    world.ask("ec2", "Action=DescribeThings").await.unwrap_err();
    assert!(world.forms().is_empty());
    world.fault("*", "*", None, Some(1), FaultKind::CutBody);
    world.ask("ec2", "Action=DescribeThings").await.unwrap_err();
    assert_eq!(world.forms(), ["Action=DescribeThings"]);
    let statuses: Vec<_> = world
        .proxy
        .requests()
        .into_iter()
        .map(|seen| seen.status)
        .collect();
    assert_eq!(statuses, [None, Some(200)]);
}

#[tokio::test]
async fn a_repeated_page_is_the_same_page_again_and_then_the_list_goes_on() {
    let world = World::new(ok);
    world.fault("autoscaling", "*", None, Some(1), FaultKind::RepeatPage);
    let (_, first) = world
        .ask("autoscaling", "Action=DescribeThings&NextToken=page-1")
        .await
        .unwrap();
    assert!(first.contains("<NextToken>again-0</NextToken>"), "{first}");
    let (_, second) = world
        .ask("autoscaling", "Action=DescribeThings&NextToken=again-0")
        .await
        .unwrap();
    assert!(second.contains("<NextToken>page-2</NextToken>"), "{second}");
    assert_eq!(
        world.forms(),
        vec!["Action=DescribeThings&NextToken=page-1"; 2]
    );
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_is_said_so() {
    let world = World::new(ok);
    let World {
        proxy,
        _upstream,
        asked,
    } = world;
    drop(_upstream);
    let world = World {
        proxy,
        asked,
        _upstream: Server::start("other", |_| async { Err(Dropped) }, async {}).unwrap(),
    };
    let (status, body) = world.ask("ec2", "Action=DescribeThings").await.unwrap();
    assert_eq!(status, 502);
    assert!(body.contains("Failed to reach 127.0.0.1:"), "{body}");
}

#[tokio::test]
async fn a_dropped_proxy_listens_no_more() {
    let World { proxy, .. } = World::new(ok);
    let addr = proxy.server.addr();
    drop(proxy);
    assert!(std::net::TcpStream::connect(addr).is_err());
}
