"""What delivery asks for: messages that did not come."""

from imcore.delivery.node import node
from messaging.services import missing

node.look_up_with("messages", missing.find)
