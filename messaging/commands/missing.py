"""What delivery asks for: messages that did not come, and whether there are any."""

from imcore.delivery.node import node
from messaging.services import missing

node.look_up_with("messages", missing.find, missing.reached)
