import type { MigrationInterface, QueryRunner } from 'typeorm'

/** What containers write, on its way from a worker to whoever reads it at an API process. */
export class RuntimeLogs1700000000007 implements MigrationInterface {
  name = 'RuntimeLogs1700000000007'

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement)
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await runner.query(statement)
  }
}

// Unlogged: the engine keeps these lines, so nothing is lost with them, and each would be written twice otherwise.
const UP = [
  `CREATE UNLOGGED TABLE "runtime_log_viewer" (
    "id" text CONSTRAINT "runtime_log_viewer_pkey" PRIMARY KEY,
    "stage_id" text NOT NULL CONSTRAINT "runtime_log_viewer_stage_id_fkey" REFERENCES "stage" ON DELETE CASCADE,
    "tail" integer NOT NULL,
    "created_at" timestamptz NOT NULL DEFAULT now(),
    "expires_at" timestamptz NOT NULL,
    "lease_owner" text,
    "lease_until" timestamptz,
    "epoch" integer NOT NULL DEFAULT 0,
    "last_seq" integer NOT NULL DEFAULT 0,
    "read_seq" integer NOT NULL DEFAULT 0,
    "places" jsonb
  )`,
  `CREATE INDEX "runtime_log_viewer_stage_id" ON "runtime_log_viewer" ("stage_id")`,
  `CREATE UNLOGGED TABLE "runtime_log_chunk" (
    "viewer_id" text NOT NULL CONSTRAINT "runtime_log_chunk_viewer_id_fkey"
      REFERENCES "runtime_log_viewer" ON DELETE CASCADE,
    "seq" integer NOT NULL,
    "deployment_id" text NOT NULL,
    "at" timestamptz NOT NULL,
    "stream" text NOT NULL,
    "text" text NOT NULL,
    CONSTRAINT "runtime_log_chunk_pkey" PRIMARY KEY ("viewer_id", "seq")
  )`,
]

const DOWN = [`DROP TABLE "runtime_log_chunk"`, `DROP TABLE "runtime_log_viewer"`]
