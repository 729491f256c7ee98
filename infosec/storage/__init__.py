"""What a service stores things with: PostgreSQL, migrations, the outbox, periodic jobs, Redis, and embedded servers."""
