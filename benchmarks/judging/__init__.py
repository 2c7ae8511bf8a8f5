"""What judging costs and what moves a verdict: throughput, growth, forms, injections, engines, Ray."""
