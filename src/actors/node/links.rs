//! The lanes from a node to its peers.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use crate::{
    transport::{Link, Responder, Transport},
    types::{Lane, NodeId, Request},
};

/// One open lane and the address it was opened with.
type OpenLink = (String, Rc<dyn Link>);

/// The lanes to the peers, opened on first use and again when a peer's address changes.
pub(crate) struct Links {
    transport: Rc<RefCell<Box<dyn Transport>>>,
    open: RefCell<BTreeMap<(NodeId, Lane), OpenLink>>,
}

impl Links {
    pub(super) fn new(transport: Rc<RefCell<Box<dyn Transport>>>) -> Self {
        Self { transport, open: RefCell::default() }
    }

    pub(crate) fn to(&self, id: &NodeId, address: &str, lane: Lane) -> Rc<dyn Link> {
        let mut open = self.open.borrow_mut();
        let key = (id.clone(), lane);
        if let Some((opened, link)) = open.get(&key)
            && opened == address
        {
            return link.clone();
        }
        let link: Rc<dyn Link> = Rc::from(self.transport.borrow().link(id, address, lane));
        open.insert(key, (address.to_owned(), link.clone()));
        link
    }

    /// A lane of its own to somebody who may be no member: a member's lanes stay as they are.
    pub(crate) fn apart(&self, id: &NodeId, address: &str, lane: Lane) -> Box<dyn Link> {
        self.transport.borrow().link(id, address, lane)
    }

    /// Sends `request` on the lane it belongs to.
    pub(crate) fn send(&self, id: &NodeId, address: &str, request: Request, responder: Responder) {
        self.to(id, address, request.lane()).send(request, responder);
    }

    /// Closes everything and stops listening.
    pub(crate) fn stop(&self) {
        self.open.borrow_mut().clear();
        self.transport.borrow_mut().stop();
    }
}
