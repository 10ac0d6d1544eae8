"""The way back: plan + journal state → rollback graph. Pure."""
