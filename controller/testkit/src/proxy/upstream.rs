//! moto, as the proxy talks to it: for a client, and on its own account.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, StatusCode, Uri,
    header::{
        ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT,
        HeaderValue, TRANSFER_ENCODING,
    },
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use serde_json::Value;

use crate::wire::{Call, Element, Form};

/// A DescribeInstanceTypes of everything is some 10 MB.
const MAX_ANSWER: usize = 128 << 20;

/// moto_server, or whatever answers in its place.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    addr: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// An answer, read whole.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Upstream {
    pub(crate) fn new(addr: SocketAddr) -> Upstream {
        // moto's server closes each connection after its answer: a pool would only race with that.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build_http();
        Upstream { addr, client }
    }

    /// Passes a client's request on, its Host header included.
    pub(crate) async fn forward(&self, call: &Call) -> Result<Answer> {
        let mut headers = call.headers.clone();
        for name in [
            ACCEPT_ENCODING,
            CONNECTION,
            CONTENT_LENGTH,
            EXPECT,
            TRANSFER_ENCODING,
        ] {
            headers.remove(name);
        }
        self.send(call.method.clone(), &call.path, headers, call.body.clone())
            .await
    }

    /// Asks one action of a query service; any answer but 200 is an error.
    pub(crate) async fn ask(
        &self,
        service: Service,
        action: &str,
        fields: &[(&str, &str)],
    ) -> Result<Element> {
        let mut form = Form::of(&[("Action", action), ("Version", service.version())]);
        for (name, value) in fields {
            form.set(name, *value);
        }
        self.ask_form(service, &form)
            .await
            .with_context(|| format!("Failed to ask moto for {action}"))
    }

    /// Asks one action of the Systems Manager, which speaks JSON; any answer but 200 is an error.
    pub(crate) async fn ask_ssm(&self, action: &str, fields: &Value) -> Result<Value> {
        let mut headers = signed("ssm", "application/x-amz-json-1.1")?;
        let target = format!("AmazonSSM.{action}");
        headers.insert(
            "x-amz-target",
            HeaderValue::from_str(&target).context("Failed to write a header")?,
        );
        let body = Bytes::from(fields.to_string());
        let answer = self.send(Method::POST, "/", headers, body).await?;
        if answer.status != StatusCode::OK {
            let text = String::from_utf8_lossy(&answer.body);
            let start: String = text.chars().take(500).collect();
            bail!("moto answered {} to {action}: {start}", answer.status);
        }
        serde_json::from_slice(&answer.body)
            .with_context(|| format!("Failed to understand moto's {action}"))
    }

    /// Asks with a form that has its action and version already.
    pub(crate) async fn ask_form(&self, service: Service, form: &Form) -> Result<Element> {
        let headers = signed(service.scope(), "application/x-www-form-urlencoded")?;
        let answer = self
            .send(Method::POST, "/", headers, Bytes::from(form.encode()))
            .await?;
        let text = String::from_utf8_lossy(&answer.body);
        if answer.status != StatusCode::OK {
            let start: String = text.chars().take(500).collect();
            bail!("moto answered {}: {start}", answer.status);
        }
        Element::parse(&text)
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer> {
        let uri: Uri = format!("http://{}{path}", self.addr)
            .parse()
            .with_context(|| format!("Failed to understand the path: {path}"))?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let response = self
            .client
            .request(request)
            .await
            .with_context(|| format!("Failed to reach {}", self.addr))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER)
            .collect()
            .await
            .map_err(|error| anyhow::anyhow!(error))
            .context("Failed to read an answer")?
            .to_bytes();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }
}

/// The headers of a request to a service; nobody checks the signature.
fn signed(scope: &str, content: &'static str) -> Result<HeaderMap> {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{scope}/aws4_request, SignedHeaders=host, Signature=0"
    );
    let mut headers = HeaderMap::new();
    headers.insert(
        AUTHORIZATION,
        HeaderValue::from_str(&authorization).context("Failed to write a header")?,
    );
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content));
    Ok(headers)
}

/// A service with AWS's query protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Ec2,
    AutoScaling,
    LoadBalancing,
}

impl Service {
    /// The name in a signature's scope.
    fn scope(self) -> &'static str {
        match self {
            Service::Ec2 => "ec2",
            Service::AutoScaling => "autoscaling",
            Service::LoadBalancing => "elasticloadbalancing",
        }
    }

    fn version(self) -> &'static str {
        match self {
            Service::Ec2 => "2016-11-15",
            Service::AutoScaling => "2011-01-01",
            Service::LoadBalancing => "2015-12-01",
        }
    }
}
