import type { MigrationInterface, QueryRunner } from 'typeorm'

/** What changes, written by triggers in the transaction of the change: no command can forget it. */
export class Changes1700000000011 implements MigrationInterface {
  name = 'Changes1700000000011'

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement)
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await runner.query(statement)
  }
}

// Three partitions in turn, one a day: those of today and yesterday are kept, that of the day before is emptied as a
// whole. They are always there, so that no change fails for want of one.
const SLOTS = [0, 1, 2]
const SLOT = `(extract(epoch FROM now())::bigint / 86400 % ${SLOTS.length})::smallint`

/** Columns that users do not see: a row in which nothing else changes has not changed. */
const HIDDEN = {
  app: ['last_claim_at', 'updated_at', 'idempotency_key'],
  stage: ['confirm_until', 'route_epoch'],
  deployment: [
    ...['epoch', 'lease_owner', 'lease_until', 'next_run_at', 'watch_until', 'drain_until', 'announcement'],
    ...['idempotency_key', 'build_key', 'waiting_for'],
  ],
}

// By transaction and not by a sequence alone: transactions commit in another order than they number, and a reader
// between two numbers would lose the one that comes late. It reads what is older than every transaction under way.
const CHANGE = `CREATE TABLE "change" (
    "slot" smallint NOT NULL DEFAULT ${SLOT},
    "xid" xid8 NOT NULL DEFAULT pg_current_xact_id(),
    "id" bigint GENERATED ALWAYS AS IDENTITY,
    "at" timestamptz NOT NULL DEFAULT clock_timestamp(),
    "app_id" text NOT NULL,
    "event" text NOT NULL CONSTRAINT "change_event_check" CHECK ("event" IN ('CREATED', 'UPDATED', 'DELETED')),
    "typename" text NOT NULL,
    "node_id" text NOT NULL
  ) PARTITION BY LIST ("slot")`

// An app is gone for users as soon as it is marked as deleted; what was its goes later.
const RECORD = `CREATE FUNCTION "record_change"() RETURNS trigger LANGUAGE plpgsql AS $$
  DECLARE
    node record := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    said text := CASE TG_OP WHEN 'INSERT' THEN 'CREATED' WHEN 'UPDATE' THEN 'UPDATED' ELSE 'DELETED' END;
    hidden text[] := TG_ARGV[1]::text[];
  BEGIN
    IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - hidden = to_jsonb(OLD) - hidden THEN RETURN NULL; END IF;
    IF TG_TABLE_NAME = 'app' THEN
      IF TG_OP <> 'INSERT' AND OLD.deleted_at IS NOT NULL THEN RETURN NULL; END IF;
      IF TG_OP = 'UPDATE' AND NEW.deleted_at IS NOT NULL THEN said := 'DELETED'; END IF;
      INSERT INTO change (app_id, event, typename, node_id) VALUES (node.id, said, TG_ARGV[0], node.id);
    ELSE
      INSERT INTO change (app_id, event, typename, node_id) VALUES (node.app_id, said, TG_ARGV[0], node.id);
    END IF;
    RETURN NULL;
  END $$`

// A stage that goes takes them along, and is not there any more by then.
const RECORD_OF_STAGE = `CREATE FUNCTION "record_change_of_stage"() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    INSERT INTO change (app_id, event, typename, node_id)
    SELECT app_id, 'UPDATED', 'Stage', id FROM stage
     WHERE id = CASE WHEN TG_OP = 'DELETE' THEN OLD.stage_id ELSE NEW.stage_id END;
    RETURN NULL;
  END $$`

const trigger = (table: keyof typeof HIDDEN, typename: string) =>
  `CREATE TRIGGER "record_change" AFTER INSERT OR UPDATE OR DELETE ON "${table}" FOR EACH ROW
     EXECUTE FUNCTION record_change('${typename}', '{${HIDDEN[table].join(',')}}')`
const triggerOfStage = (table: string) =>
  `CREATE TRIGGER "record_change" AFTER INSERT OR UPDATE OR DELETE ON "${table}" FOR EACH ROW
     EXECUTE FUNCTION record_change_of_stage()`

const UP = [
  CHANGE,
  ...SLOTS.map((slot) => `CREATE TABLE "change_${slot}" PARTITION OF "change" FOR VALUES IN (${slot})`),
  `CREATE INDEX "change_cursor" ON "change" ("xid", "id")`,
  `CREATE INDEX "change_app_cursor" ON "change" ("app_id", "xid", "id")`,
  RECORD,
  RECORD_OF_STAGE,
  trigger('app', 'App'),
  trigger('stage', 'Stage'),
  trigger('deployment', 'Deployment'),
  triggerOfStage('variable'),
  triggerOfStage('domain'),
]

const DOWN = [
  ...['domain', 'variable', 'deployment', 'stage', 'app'].map(
    (table) => `DROP TRIGGER "record_change" ON "${table}"`,
  ),
  'DROP FUNCTION "record_change_of_stage"()',
  'DROP FUNCTION "record_change"()',
  'DROP TABLE "change"',
]
