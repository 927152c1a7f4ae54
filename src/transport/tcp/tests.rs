//! What only TCP can get wrong.

use super::*;

#[tokio::test]
async fn tcp_keeps_the_contract() {
    crate::transport::conformance::run(|at| TcpTransport::new(TcpOptions::new(at.unwrap_or("127.0.0.1:0"))))
        .await;
}
