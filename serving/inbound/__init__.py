"""What other systems send: their words for orders and events, brought to `features.messages`."""
