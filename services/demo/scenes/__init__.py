"""The scenes of the day, in the order of services.demo.day."""
