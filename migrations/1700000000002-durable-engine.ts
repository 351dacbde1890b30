import type { MigrationInterface, QueryRunner } from 'typeorm'

/** What the engine needs to take up what another process left: replaced by whom, configured how, drained until when. */
export class DurableEngine1700000000002 implements MigrationInterface {
  name = 'DurableEngine1700000000002'

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement)
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await runner.query(statement)
  }
}

const CHUNK_COLUMNS = `
    "deployment_id" text NOT NULL CONSTRAINT "log_chunk_deployment_id_fkey" REFERENCES "log_stream" ON DELETE CASCADE,
    "seq" integer NOT NULL,
    "at" timestamptz NOT NULL,
    "phase" text NOT NULL,
    "stream" text NOT NULL,
    "text" text NOT NULL`

const UP = [
  `ALTER TABLE "deployment" ADD "superseded_by" text`,
  `ALTER TABLE "deployment" ADD "configuration" jsonb`,
  `ALTER TABLE "deployment" ADD "drain_until" timestamptz`,
  // One address for each replica.
  `ALTER TABLE "deployment" ADD "addresses" text[]`,
  `UPDATE "deployment" SET "addresses" = ARRAY["address"] WHERE "address" IS NOT NULL`,
  `ALTER TABLE "deployment" DROP COLUMN "address"`,

  // By week of the log's first day, so that old logs go by dropping a table; all chunks of a log are in one partition.
  `ALTER TABLE "log_stream" ADD "log_day" date NOT NULL DEFAULT ('now'::text)::date`,
  `ALTER TABLE "log_chunk" RENAME TO "log_chunk_before"`,
  `ALTER TABLE "log_chunk_before" DROP CONSTRAINT "log_chunk_pkey", DROP CONSTRAINT "log_chunk_deployment_id_fkey"`,
  `CREATE TABLE "log_chunk" (${CHUNK_COLUMNS},
    "log_day" date NOT NULL,
    CONSTRAINT "log_chunk_pkey" PRIMARY KEY ("deployment_id", "seq", "log_day")
  ) PARTITION BY RANGE ("log_day")`,
  `DO $$ BEGIN EXECUTE format('CREATE TABLE log_chunk_from_%s PARTITION OF log_chunk FOR VALUES FROM (%L) TO (%L)',
     to_char(date_trunc('week', now()), 'YYYYMMDD'), date_trunc('week', now())::date, date_trunc('week', now())::date + 7);
   END $$`,
  `INSERT INTO "log_chunk" ("deployment_id", "seq", "at", "phase", "stream", "text", "log_day")
   SELECT c."deployment_id", c."seq", c."at", c."phase", c."stream", c."text", s."log_day"
     FROM "log_chunk_before" c JOIN "log_stream" s USING ("deployment_id")`,
  `DROP TABLE "log_chunk_before"`,
]

const DOWN = [
  `CREATE TABLE "log_chunk_after" (${CHUNK_COLUMNS.replace(/ CONSTRAINT .*CASCADE/, '')})`,
  `INSERT INTO "log_chunk_after" SELECT "deployment_id", "seq", "at", "phase", "stream", "text" FROM "log_chunk"`,
  `DROP TABLE "log_chunk"`,
  `ALTER TABLE "log_chunk_after" RENAME TO "log_chunk"`,
  `ALTER TABLE "log_chunk" ADD CONSTRAINT "log_chunk_pkey" PRIMARY KEY ("deployment_id", "seq"),
     ADD CONSTRAINT "log_chunk_deployment_id_fkey" FOREIGN KEY ("deployment_id") REFERENCES "log_stream" ON DELETE CASCADE`,
  `ALTER TABLE "log_stream" DROP COLUMN "log_day"`,
  `ALTER TABLE "deployment" ADD "address" text`,
  `UPDATE "deployment" SET "address" = "addresses"[1]`,
  ...['addresses', 'drain_until', 'configuration', 'superseded_by'].map(
    (column) => `ALTER TABLE "deployment" DROP COLUMN "${column}"`,
  ),
]
