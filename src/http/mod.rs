//! HTTP: every route on this page. Handlers are sentences; what they need is proven by extractors,
//! what goes wrong is told by [`problem`] alone.

mod compression;
mod cross_origin;
mod customers;
mod docs;
mod extract;
mod guards;
mod health;
mod history;
mod list_query;
mod observe;
pub mod problem;
mod problem_code;
mod rate_limit;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
pub use docs::OPENAPI_YAML;
pub use health::metrics_router;
use problem::{Problem, ProblemCode};

/// The routes: `(path, methods)`, as `openapi.yaml` has them.
pub const ROUTES: [(&str, &[&str]); 17] = [
    ("/", &["GET"]),
    ("/docs", &["GET"]),
    ("/docs/{file}", &["GET"]),
    ("/docs/problems", &["GET"]),
    ("/docs/problems/{code}", &["GET"]),
    ("/openapi.yaml", &["GET"]),
    ("/openapi.json", &["GET"]),
    ("/metrics", &["GET"]),
    ("/customers", &["GET", "POST"]),
    ("/customers/search", &["POST"]),
    ("/customers/{id}", &["GET", "PATCH", "PUT", "DELETE"]),
    ("/customers/{id}/history", &["GET"]),
    ("/customers/{id}/history/{version}", &["GET"]),
    ("/customers/{id}/social-id/reveal", &["POST"]),
    ("/customers/{id}/security-answer/verify", &["POST"]),
    ("/livez", &["GET"]),
    ("/readyz", &["GET"]),
];

/// The service.
pub fn router(app: Arc<App>) -> Router {
    observe::count_from_zero();
    app.store.count_from_zero();
    let routes = Router::new()
        .route("/", get(docs::page))
        .route("/docs", get(docs::page))
        .route("/docs/{file}", get(docs::file))
        .route("/docs/problems", get(docs::problems))
        .route("/docs/problems/{code}", get(docs::problem))
        .route("/openapi.yaml", get(docs::openapi_yaml))
        .route("/openapi.json", get(docs::openapi_json))
        .route("/metrics", get(health::metrics))
        // What stands above is compressed when asked, what stands below never is.
        .route_layer(compression::layer())
        .route_layer(map_response(compression::never_refuse))
        .route("/customers", get(customers::list).post(customers::create))
        .route("/customers/search", post(customers::search))
        .route(
            "/customers/{id}",
            get(customers::read)
                .patch(customers::patch)
                .put(customers::replace)
                .delete(customers::erase),
        )
        .route("/customers/{id}/history", get(history::list))
        .route("/customers/{id}/history/{version}", get(history::version))
        .route("/customers/{id}/social-id/reveal", post(history::reveal))
        .route("/customers/{id}/security-answer/verify", post(history::verify_answer))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready));
    surround(routes, app)
}

/// Routes with what is around all of them: the answers to what no route takes, panics as problems,
/// and [`observe`]; where the settings say so, the limit on callers and what browsers are told. Apart
/// from [`router`], so that a test can put a route that panics inside.
pub fn surround(routes: Router<Arc<App>>, app: Arc<App>) -> Router {
    let cors = cross_origin::layer(&app.cors_origins);
    let mut routes = routes
        .fallback(async || Problem::new(ProblemCode::NotFound, "nothing is at this path"))
        .method_not_allowed_fallback(async || {
            Problem::new(ProblemCode::MethodNotAllowed, "this path does not take this method")
        })
        .layer(CatchPanicLayer::custom(|_| {
            Problem::new(ProblemCode::InternalError, problem::INTERNAL).into_panic_response()
        }));
    if let Some(cors) = &cors {
        routes = routes.layer(from_fn_with_state(cors.clone(), cross_origin::preflight));
    }
    routes = routes.layer(from_fn_with_state(Arc::clone(&app), observe::observe));
    if app.rate_limit.is_some() {
        routes = routes.layer(from_fn_with_state(Arc::clone(&app), rate_limit::announce));
    }
    if let Some(cors) = cors {
        routes = routes.layer(from_fn_with_state(cors, cross_origin::share));
    }
    routes.with_state(app)
}
