//! Where the stages meet Pingora: each hook is one or two calls, and none decides.
//!
//! The order of hooks, and which of them run once per attempt, is in the module page of `stages`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use pingora_core::modules::http::HttpModules;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_error::{Error, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, Session};

use crate::context::Context;
use crate::runtime::Runtime;
use crate::stages::{self, exchange, extract, inject, log, next_key, respond, route};

/// The gateway as Pingora calls it.
pub(crate) struct Gateway {
    runtime: Arc<Runtime>,
}

impl Gateway {
    pub(crate) fn new(runtime: Arc<Runtime>) -> Self {
        Self { runtime }
    }
}

#[async_trait]
impl ProxyHttp for Gateway {
    // Boxed: Pingora moves it through its own futures, and a pointer is cheaper to move.
    type CTX = Box<Context>;

    fn new_ctx(&self) -> Self::CTX {
        let runtime = &self.runtime;
        let wall = runtime.clock.now();
        Box::new(Context::new(Instant::now(), wall, runtime.ids.next(wall)))
    }

    // The default adds a compression module to every request.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, _: &mut Self::CTX) -> Result<()> {
        extract::settle_session(session, &self.runtime);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Self::CTX) -> Result<bool> {
        match stages::judge(session, ctx, &self.runtime).await {
            Ok(()) => Ok(false),
            Err(stop) => respond::refuse(session, ctx, stop).await.map(|()| true),
        }
    }

    async fn upstream_peer(&self, _: &mut Session, ctx: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        route::peer(ctx, &self.runtime)
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        upstream: &mut RequestHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        inject::prepare(session, upstream, ctx, &self.runtime).await?;
        exchange::frame_body(upstream, ctx)
    }

    async fn request_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        exchange::body_passed(end, ctx);
        extract::count_body(body.as_ref(), ctx)?;
        exchange::swap_body(body, end, ctx);
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        next_key::try_next(session, head, ctx, &self.runtime)?;
        respond::head(session, head, ctx, &self.runtime)
    }

    fn response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Self::CTX,
    ) -> Result<Option<Duration>> {
        respond::body(body, end, ctx).map(|()| None)
    }

    // Not the later hook of a similar name: an error of that one is logged, and the trailers go out.
    fn upstream_response_trailer_filter(
        &self,
        _: &mut Session,
        trailers: &mut HeaderMap,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        respond::trailers(trailers, ctx)
    }

    fn fail_to_connect(&self, _: &mut Session, _: &HttpPeer, ctx: &mut Self::CTX, error: Box<Error>) -> Box<Error> {
        exchange::failed_to_connect(ctx, error)
    }

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        _: &mut Self::CTX,
        reused: bool,
    ) -> Box<Error> {
        if next_key::is_asked_for(&error) {
            error.set_retry(true);
            return error;
        }
        exchange::failed(session, error, reused)
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut Self::CTX) -> FailToProxy {
        respond::fail(session, error, ctx).await
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, ctx: &mut Self::CTX) {
        log::finish(session, ctx, &self.runtime);
    }

    fn suppress_error_log(&self, _: &Session, ctx: &Self::CTX, error: &Error) -> bool {
        // Pingora's own line shows what it could not parse: an upstream's head, and with it a key that came back.
        exchange::tell(ctx, error);
        true
    }

    fn request_summary(&self, _: &Session, ctx: &Self::CTX) -> String {
        // The default prints the query, and a query may hold a token.
        let id = ctx.id.text();
        format!("request {}", id.as_str())
    }
}
