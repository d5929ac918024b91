"""8. Reports: records as text and pages."""
