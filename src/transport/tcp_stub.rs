//! stub
use super::*;
use crate::types::*;
use std::sync::Arc;
/// x
#[derive(Clone, Debug, Default)]
pub struct TcpOptions;
/// x
#[derive(Debug)]
pub struct TcpTransport;
impl TcpTransport {
    /// x
    pub fn new(_: String, _: TcpOptions) -> Self {
        Self
    }
}
impl Transport for TcpTransport {
    fn start(&mut self, _: Arc<dyn Inbound>) -> Result<String, TransportError> {
        Ok(String::new())
    }
    fn link(&self, _: &NodeId, _: &str, _: Lane) -> Box<dyn Link> {
        unimplemented!()
    }
    fn stop(&mut self) {}
}
