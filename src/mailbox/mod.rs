//! The only room that knows actix's internals: ports with credits, capacity-1 signals, the inspecting context, probes.
