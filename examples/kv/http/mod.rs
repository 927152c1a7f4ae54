//! What clients see. Every node takes every request: Raft carries it to the leader.
//!
//! | request | answer |
//! |---|---|
//! | `PUT /kv/{key}`, the value as body | `{"index", "term"}` |
//! | `GET /kv/{key}` | the value; it reflects every write answered before. `?read=lease`: the same, faster on a leader |
//! | `GET /kv/{key}?read=stale` | the value as this node has it; `&min_index=N`: once it has applied entry N |
//! | `DELETE /kv/{key}` | `{"index", "term", "deleted"}` |
//! | `POST /kv/{key}/cas`, `{"expect": "…" or null, "value": "…"}` | `{"swapped"}` |
//! | `POST /load`, lines of `{"key": "…", "value": "…"}` | `{"applied"}` |
//! | `GET /cluster/members` | `{"index", "committed", "members"}` |
//! | `POST /cluster/members`, `{"id", "address", "suffrage": "voter" or "nonvoter"}` | `{"index"}` once it is a member like that |
//! | `DELETE /cluster/members/{id}` | `{"index"}` once it is none |
//! | `POST /cluster/transfer`, `{"to": "…"}` or nothing | `{"index", "leader"}` once another node leads |
//! | `POST /cluster/snapshot` | `{"index"}`: what this node's state was written down up to |
//! | `GET /cluster/snapshot` | the state itself, for `/cluster/restore` of this cluster or of another |
//! | `POST /cluster/restore`, a state as body, of the leader | `{"index"}` once it has replaced that of every node |
//! | `GET /status`, `GET /statistics`, `GET /mailboxes` | what the node knows of itself |
//! | `GET /metrics` | the same for Prometheus, with how long things take (docs/metrics.md) |
//! | `GET /health`, `GET /ready` | whether the process lives; whether it can serve |
//!
//! A write of one key may have a header `Idempotency-Key`: sent again with it, to any node, it is applied once and
//! answered as the first time (`idempotency.rs`).
//!
//! A key is one path segment of percent-encoded bytes. An error is `{"error": code, "message": text}`, with
//! `"applied"` beside it from `/load`; `error.rs` has the codes.

mod cluster;
mod error;
mod idempotency;
mod kv;
mod load;
mod request;
mod restore;
mod status;

use std::{io, net::TcpListener};

use actix_web::{
    App, HttpServer, Route,
    dev::Server,
    http::Method,
    web::{self, Data, ServiceConfig},
};
use metrics_exporter_prometheus::PrometheusHandle;

use self::error::{method_not_allowed, unknown_route};
use crate::node::{Node, SnapshotFiles};

/// Threads that parse requests and write answers; the protocol has its own.
const WORKERS: usize = 2;

/// How long connections may take to end once the server is told to stop.
const SHUTDOWN_TIMEOUT_S: u64 = 1;

/// A server on `listener`; it runs when it is spawned, and until it is told to stop.
///
/// # Errors
/// If the listener cannot be used.
pub(crate) fn serve(
    raft: Node,
    snapshots: SnapshotFiles,
    metrics: PrometheusHandle,
    listener: TcpListener,
) -> io::Result<Server> {
    let (raft, snapshots, metrics) = (Data::new(raft), Data::new(snapshots), Data::new(metrics));
    let app = move || {
        let app = App::new().app_data(raft.clone()).app_data(snapshots.clone()).app_data(metrics.clone());
        app.configure(routes)
    };
    let server = HttpServer::new(app)
        .workers(WORKERS)
        .disable_signals()
        .shutdown_timeout(SHUTDOWN_TIMEOUT_S)
        .tcp_nodelay(true)
        .listen(listener)?;
    Ok(server.run())
}

fn routes(config: &mut ServiceConfig) {
    let get = || web::method(Method::GET);
    let post = || web::method(Method::POST);
    config
        .service(
            web::resource("/kv/{key:[^/]*}")
                .route(web::get().to(kv::get))
                .route(web::put().to(kv::put))
                .route(web::delete().to(kv::delete))
                .default_service(only("GET, PUT, DELETE")),
        )
        .service(web::resource("/kv/{key:[^/]*}/cas").route(post().to(kv::cas)).default_service(only("POST")))
        .service(
            web::resource("/cluster/members")
                .route(get().to(cluster::members))
                .route(post().to(cluster::add))
                .default_service(only("GET, POST")),
        )
        .service(
            web::resource("/cluster/members/{id:[^/]+}")
                .route(web::delete().to(cluster::remove))
                .default_service(only("DELETE")),
        )
        .service(
            web::resource("/cluster/transfer")
                .route(post().to(cluster::transfer))
                .default_service(only("POST")),
        )
        .service(
            web::resource("/cluster/snapshot")
                .route(get().to(restore::export))
                .route(post().to(cluster::snapshot))
                .default_service(only("GET, POST")),
        )
        .service(
            web::resource("/cluster/restore")
                .route(post().to(restore::restore))
                .default_service(only("POST")),
        )
        .service(web::resource("/load").route(post().to(load::load)).default_service(only("POST")));
    let mut page = |path: &str, handler: Route| {
        config.service(web::resource(path).route(handler).default_service(only("GET")));
    };
    page("/status", get().to(status::status));
    page("/statistics", get().to(status::statistics));
    page("/metrics", get().to(status::metrics));
    page("/mailboxes", get().to(status::mailboxes));
    page("/health", get().to(status::health));
    page("/ready", get().to(status::ready));
    config.default_service(web::to(unknown_route));
}

/// Answers every other method.
fn only(allowed: &'static str) -> Route {
    web::to(move || method_not_allowed(allowed))
}
