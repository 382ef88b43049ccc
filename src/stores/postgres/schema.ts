/*
 * The schema, as numbered steps. `@.` stands for its name. A step is never edited once released.
 *
 * Replicas of two versions run side by side while a deploy rolls: a step may only add. One that an older version cannot
 * live with raises `compatibleFrom` to its own number, and the changelog calls it breaking.
 */
import { maxAttemptsKept } from '../records.ts'

export interface Migration {
  statements: string
  /** The lowest schema version whose code still works on this one. */
  compatibleFrom: number
}

export const migrations: Migration[] = [{
  compatibleFrom: 1,
  statements: `
    CREATE TABLE @.store (
      id_key bytea NOT NULL,
      version int NOT NULL,
      compatible_from int NOT NULL
    );

    -- One row for each replica that holds leases. That it lives is seen by its beat, which the others watch: no clock
    -- of any machine has a say.
    CREATE TABLE @.workers (
      id text PRIMARY KEY,
      beat bigint NOT NULL DEFAULT 0
    );

    CREATE SEQUENCE @.job_numbers;
    CREATE TABLE @.jobs (
      number bigint PRIMARY KEY DEFAULT nextval('@.job_numbers'),
      operation text NOT NULL,
      owner text NOT NULL,
      status text NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'canceled')),
      -- queued: not before (0 = at once); deferred, also while a worker ends it: the deadline
      due_at bigint,
      worker text,
      attempt int NOT NULL DEFAULT 0,
      failures int NOT NULL DEFAULT 0,
      crashes int NOT NULL DEFAULT 0,
      percent_complete double precision NOT NULL DEFAULT 0,
      message text NOT NULL DEFAULT '',
      created_at bigint NOT NULL,
      started_at bigint,
      ended_at bigint,
      expires_at bigint,
      idempotency_key text,
      fingerprint text,
      -- JSON is kept as text: jsonb knows no \\u0000, and would give back another text than it was given.
      -- '' once the job has succeeded or was canceled: nobody asks for it any more, and each change writes all of the row.
      input text NOT NULL,
      result text,
      failure text
    -- A job is written three times. Half of a page is left for that, since what stays on its page costs less: the WAL
    -- has what differs alone, and the file does not grow.
    ) WITH (fillfactor = 50);
    CREATE INDEX jobs_queued ON @.jobs (operation, due_at, number) WHERE status = 'queued';
    CREATE INDEX jobs_deferred ON @.jobs (operation, due_at, number) WHERE status = 'running' AND worker IS NULL;
    CREATE INDEX jobs_worker ON @.jobs (worker) WHERE worker IS NOT NULL;
    CREATE INDEX jobs_expiry ON @.jobs (expires_at) WHERE expires_at IS NOT NULL;
    CREATE UNIQUE INDEX jobs_idempotency ON @.jobs (idempotency_key) WHERE idempotency_key IS NOT NULL;

    CREATE SEQUENCE @.subscription_numbers;
    CREATE TABLE @.subscriptions (
      number bigint PRIMARY KEY DEFAULT nextval('@.subscription_numbers'),
      operation text NOT NULL,
      owner text NOT NULL,
      -- whose events it waits for, or which job
      topic text,
      job bigint,
      status text NOT NULL CHECK (status IN ('active', 'suspended', 'superseded')),
      -- superseded: what it was before, and will be if it has its place again
      status_before text,
      -- events up to this one are not owed to it
      after_event bigint NOT NULL,
      -- the superseded one that takes its place again if it turns out false
      predecessor bigint,
      failing_since bigint,
      skipped bigint NOT NULL DEFAULT 0,
      url_digest text NOT NULL,
      versionless_digest text,
      sealed_url bytea NOT NULL,
      url_hint text NOT NULL,
      host text NOT NULL,
      client_tracking_id text,
      operation_name text,
      workflow_run_id text,
      workflow_id text,
      created_at bigint NOT NULL,
      input text NOT NULL
    );
    CREATE UNIQUE INDEX subscriptions_url ON @.subscriptions (url_digest, operation, owner);
    CREATE INDEX subscriptions_versionless ON @.subscriptions (versionless_digest, status) WHERE versionless_digest IS NOT NULL;
    CREATE INDEX subscriptions_topic ON @.subscriptions (topic, operation, number) WHERE topic IS NOT NULL;
    CREATE INDEX subscriptions_job ON @.subscriptions (job) WHERE job IS NOT NULL;
    CREATE INDEX subscriptions_predecessor ON @.subscriptions (predecessor) WHERE predecessor IS NOT NULL;
    CREATE INDEX subscriptions_tracking ON @.subscriptions (client_tracking_id) WHERE client_tracking_id IS NOT NULL;

    -- The log. The lock on its one row is held until the commit of the numbers that were taken: see events.ts.
    CREATE TABLE @.log (last bigint NOT NULL);
    INSERT INTO @.log (last) VALUES (0);
    CREATE TABLE @.events (
      number bigint PRIMARY KEY,
      topic text NOT NULL,
      created_at bigint NOT NULL,
      -- the latest of its topic's dates up to here: in the order of the numbers it never goes back, as clocks do
      reached_at bigint NOT NULL,
      expires_at bigint NOT NULL,
      body text NOT NULL
    );
    CREATE INDEX events_topic ON @.events (topic, number);

    -- Each topic's log: what of the events above is still read. Rows stay, so that it is known what was forgotten.
    CREATE TABLE @.topics (
      name text PRIMARY KEY,
      -- how many entries it has, and may have
      entries bigint NOT NULL,
      max_entries bigint,
      reached_at bigint NOT NULL,
      -- events up to this one left it, and the reached_at of that one
      forgotten_to bigint NOT NULL DEFAULT 0,
      forgotten_at bigint NOT NULL DEFAULT 0
    );

    -- Events published in transactions of the host's: they get their places in the log after the commit.
    CREATE TABLE @.event_inbox (
      place bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
      topic text NOT NULL,
      created_at bigint NOT NULL,
      expires_at bigint NOT NULL,
      max_entries bigint,
      body text NOT NULL
    );

    -- Events still to be turned into deliveries to the subscriptions of an operation, and how far that went.
    CREATE TABLE @.fan_outs (
      operation text NOT NULL,
      event bigint NOT NULL,
      cursor bigint NOT NULL DEFAULT 0,
      -- how often it changed who is to be looked at
      round int NOT NULL DEFAULT 0,
      PRIMARY KEY (operation, event)
    );
    CREATE INDEX fan_outs_event ON @.fan_outs (event);

    CREATE SEQUENCE @.delivery_numbers;
    CREATE TABLE @.deliveries (
      number bigint PRIMARY KEY DEFAULT nextval('@.delivery_numbers'),
      operation text NOT NULL,
      owner text NOT NULL,
      subscription bigint NOT NULL,
      subscription_created_at bigint NOT NULL,
      url_hint text NOT NULL,
      host text NOT NULL,
      status text NOT NULL CHECK (status IN ('pending', 'delivered', 'dead')),
      -- pending and not claimed: not before
      due_at bigint,
      worker text,
      claim int NOT NULL DEFAULT 0,
      -- the subscription it was claimed for: an answer speaks of that one, though the delivery may be another's by then
      sent_to bigint,
      attempts int NOT NULL DEFAULT 0,
      created_at bigint NOT NULL,
      ended_at bigint,
      -- what is sent: an event's body, or the job's own
      event bigint,
      job bigint,
      body text,
      -- the newest of all attempts, in JSON: see records.ts. Last, since they may be long
      attempt_log text
    );
    CREATE INDEX deliveries_due ON @.deliveries (due_at, number, operation, host) WHERE due_at IS NOT NULL;
    CREATE INDEX deliveries_host ON @.deliveries (operation, host, due_at) WHERE due_at IS NOT NULL;
    CREATE UNIQUE INDEX deliveries_event ON @.deliveries (event, subscription) WHERE event IS NOT NULL;
    CREATE INDEX deliveries_subscription ON @.deliveries (subscription, status);
    CREATE INDEX deliveries_worker ON @.deliveries (worker) WHERE worker IS NOT NULL;
    CREATE INDEX deliveries_ended ON @.deliveries (ended_at) WHERE ended_at IS NOT NULL;

    -- A list of attempts with one more, of the newest that are kept. As text, since a receiver may answer with what jsonb cannot hold.
    CREATE FUNCTION @.with_attempt (log text, attempt text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
      SELECT left(CASE WHEN json_array_length(log::json) < ${maxAttemptsKept} THEN log ELSE (
        SELECT json_agg(value ORDER BY place)::text FROM json_array_elements(log::json) WITH ORDINALITY AS kept (value, place) WHERE place > 1) END, -1)
        || ',' || substr(attempt, 2)
    $$;

    -- Debts of new events, one for each operation that has subscriptions of their topic. From one operation to the next
    -- in the index: a publish costs the same with one subscription and with 100,000.
    CREATE FUNCTION @.owe_events (numbers bigint[]) RETURNS void LANGUAGE sql AS $$
      INSERT INTO @.fan_outs (event, operation)
      SELECT number, subscribing.operation FROM @.events CROSS JOIN LATERAL (
        WITH RECURSIVE of_topic (operation) AS (
          SELECT min(operation) FROM @.subscriptions WHERE topic = events.topic
          UNION ALL
          SELECT (SELECT min(operation) FROM @.subscriptions WHERE topic = events.topic AND operation > of_topic.operation) FROM of_topic
          WHERE of_topic.operation IS NOT NULL)
        SELECT operation FROM of_topic WHERE operation IS NOT NULL) AS subscribing
      WHERE number = ANY (numbers)
    $$;

    -- Numbers for some more events, and the lock until the end of this transaction. Resolves to the last one before them.
    CREATE FUNCTION @.take_numbers (how_many bigint) RETURNS bigint LANGUAGE sql AS $$
      UPDATE @.log SET last = last + how_many RETURNING last - how_many
    $$;

    -- Gives events the next places in the log, in their order. The lock is held already.
    CREATE FUNCTION @.place_events (new_topics text[], bodies text[], created bigint[], expiring bigint[], limits bigint[]) RETURNS bigint[] LANGUAGE plpgsql AS $$
    DECLARE
      before bigint := @.take_numbers(cardinality(new_topics));
      numbers bigint[];
    BEGIN
      SELECT coalesce(array_agg(before + place ORDER BY place), '{}') INTO numbers FROM generate_series(1, cardinality(new_topics)) AS place;
      INSERT INTO @.events (number, topic, created_at, reached_at, expires_at, body)
      SELECT event.number, event.topic, event.created_at,
        greatest(topics.reached_at, max(event.created_at) OVER (PARTITION BY event.topic ORDER BY event.number)), event.expires_at, event.body
      FROM unnest(numbers, new_topics, created, expiring, bodies) AS event (number, topic, created_at, expires_at, body)
        LEFT JOIN @.topics ON topics.name = event.topic;
      INSERT INTO @.topics AS known (name, entries, max_entries, reached_at)
      SELECT topic, count(*), (array_agg(max_entries ORDER BY number DESC))[1], max(created_at)
      FROM unnest(numbers, new_topics, created, limits) AS event (number, topic, created_at, max_entries) GROUP BY topic ORDER BY topic
      ON CONFLICT (name) DO UPDATE SET entries = known.entries + excluded.entries, max_entries = excluded.max_entries,
        reached_at = greatest(known.reached_at, excluded.reached_at);
      PERFORM @.owe_events(numbers);
      RETURN numbers;
    END $$;

    -- Gives what host transactions published its place in the log.
    CREATE FUNCTION @.take_inbox () RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
      new_topics text[];
      bodies text[];
      created bigint[];
      expiring bigint[];
      limits bigint[];
    BEGIN
      PERFORM @.take_numbers(0);
      WITH arrived AS (DELETE FROM @.event_inbox RETURNING *)
      SELECT array_agg(topic ORDER BY place), array_agg(body ORDER BY place), array_agg(created_at ORDER BY place),
        array_agg(expires_at ORDER BY place), array_agg(max_entries ORDER BY place)
      INTO new_topics, bodies, created, expiring, limits FROM arrived;
      IF new_topics IS NOT NULL THEN PERFORM @.place_events(new_topics, bodies, created, expiring, limits); END IF;
    END $$;

    -- A function, so that the lock is held for no round trip: it is taken and let go within one statement.
    CREATE FUNCTION @.append_events (new_topics text[], bodies text[], created bigint[], expiring bigint[], limits bigint[]) RETURNS bigint[] LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM @.take_inbox();
      RETURN @.place_events(new_topics, bodies, created, expiring, limits);
    END $$;

    -- The number before the first entry that is not older than a time. By halves, since reached_at grows with the
    -- numbers: no index of dates has to be kept. STABLE: it sees what the statement that calls it sees.
    CREATE FUNCTION @.place_in_log (of_topic text, behind bigint, not_before bigint, last bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
    DECLARE
      low bigint := behind;
      high bigint := greatest(behind, last);
      middle bigint := behind;
      next record;
    BEGIN
      IF not_before IS NULL THEN RETURN behind; END IF;
      WHILE low < high LOOP
        SELECT number, reached_at INTO next FROM @.events WHERE topic = of_topic AND number > middle ORDER BY number LIMIT 1;
        -- What follows low is too old, or not looked at yet; what follows high is not too old, or nothing.
        IF NOT FOUND OR next.reached_at >= not_before THEN high := middle; ELSE low := next.number; END IF;
        middle := (low + high) / 2;
      END LOOP;
      RETURN low;
    END $$;
  `
}]
