import type { MigrationInterface, QueryRunner } from 'typeorm'

/** Apps, stages, deployments as a queue, logs with a cursor. */
export class Initial1700000000001 implements MigrationInterface {
  name = 'Initial1700000000001'

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement)
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await runner.query(statement)
  }
}

const UP = [
  `CREATE TABLE "app" (
    "id" text CONSTRAINT "app_pkey" PRIMARY KEY,
    "name" text NOT NULL,
    "repo_url" text NOT NULL,
    "branch" text,
    "dockerfile_path" text NOT NULL,
    "context_path" text NOT NULL,
    "port" integer,
    "last_claim_at" timestamptz NOT NULL DEFAULT '1970-01-01 00:00:00+00',
    "deleted_at" timestamptz,
    "created_at" timestamptz NOT NULL DEFAULT now(),
    "updated_at" timestamptz NOT NULL DEFAULT now()
  )`,
  `CREATE UNIQUE INDEX "app_name_unique" ON "app" ("name") WHERE "deleted_at" IS NULL`,

  `CREATE TABLE "stage" (
    "id" text CONSTRAINT "stage_pkey" PRIMARY KEY,
    "app_id" text NOT NULL CONSTRAINT "stage_app_id_fkey" REFERENCES "app" ON DELETE CASCADE,
    "name" text NOT NULL,
    "branch" text,
    "current_deployment_id" text,
    "route_epoch" bigint NOT NULL DEFAULT 0,
    "auto_deploy" boolean NOT NULL DEFAULT true,
    "stopped" boolean NOT NULL DEFAULT false,
    "replicas" integer NOT NULL DEFAULT 1,
    "memory_bytes" bigint NOT NULL DEFAULT 536870912,
    "cpus" double precision NOT NULL DEFAULT 1,
    "pids" integer NOT NULL DEFAULT 512,
    "health_path" text,
    "health_interval_seconds" integer NOT NULL DEFAULT 1,
    "health_timeout_seconds" integer NOT NULL DEFAULT 5,
    "health_deadline_seconds" integer NOT NULL DEFAULT 60,
    "health_stable_seconds" integer,
    CONSTRAINT "stage_app_id_name_key" UNIQUE ("app_id", "name")
  )`,

  `CREATE TABLE "variable" (
    "stage_id" text NOT NULL CONSTRAINT "variable_stage_id_fkey" REFERENCES "stage" ON DELETE CASCADE,
    "key" text NOT NULL,
    "value_encrypted" text NOT NULL,
    "fingerprint" text NOT NULL,
    "updated_at" timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT "variable_pkey" PRIMARY KEY ("stage_id", "key")
  )`,

  `CREATE TABLE "deployment" (
    "id" text CONSTRAINT "deployment_pkey" PRIMARY KEY,
    "generation" bigserial NOT NULL,
    "app_id" text NOT NULL CONSTRAINT "deployment_app_id_fkey" REFERENCES "app" ON DELETE CASCADE,
    "stage_id" text NOT NULL CONSTRAINT "deployment_stage_id_fkey" REFERENCES "stage" ON DELETE CASCADE,
    "status" text NOT NULL DEFAULT 'PENDING',
    "trigger" text NOT NULL,
    "ref" text,
    "no_cache" boolean NOT NULL DEFAULT false,
    "idempotency_key" text,
    "commit_sha" text,
    "commit_message" text,
    "image_id" text,
    "image" text,
    "container" text,
    "address" text,
    "port" integer,
    "epoch" integer NOT NULL DEFAULT 0,
    "lease_owner" text,
    "lease_until" timestamptz,
    "attempt" integer NOT NULL DEFAULT 0,
    "next_run_at" timestamptz NOT NULL DEFAULT now(),
    "cancel_requested_at" timestamptz,
    "waiting_for" text,
    "error_code" text,
    "error_phase" text,
    "error_message" text,
    "error_exit_code" integer,
    "error_last_lines" text[],
    "created_at" timestamptz NOT NULL DEFAULT now(),
    "started_at" timestamptz,
    "live_at" timestamptz,
    "finished_at" timestamptz,
    CONSTRAINT "deployment_status_check" CHECK ("status" IN ('PENDING', 'CLONING', 'BUILDING', 'STARTING', 'ROUTING',
      'RUNNING', 'RETIRED', 'FAILED', 'CANCELLED', 'SUPERSEDED', 'ROLLED_BACK'))
  )`,
  // The two laws of the queue: whatever a process believes, the database refuses a second one.
  `CREATE UNIQUE INDEX "deployment_one_in_flight" ON "deployment" ("stage_id")
    WHERE "status" IN ('CLONING', 'BUILDING', 'STARTING', 'ROUTING')`,
  `CREATE UNIQUE INDEX "deployment_one_running" ON "deployment" ("stage_id") WHERE "status" = 'RUNNING'`,
  `CREATE INDEX "deployment_pending" ON "deployment" ("stage_id", "generation") WHERE "status" = 'PENDING'`,
  `CREATE UNIQUE INDEX "deployment_idempotency_key" ON "deployment" ("app_id", "idempotency_key")
    WHERE "idempotency_key" IS NOT NULL`,
  `CREATE INDEX "deployment_app_generation" ON "deployment" ("app_id", "generation")`,

  `CREATE TABLE "deployment_event" (
    "id" bigserial CONSTRAINT "deployment_event_pkey" PRIMARY KEY,
    "deployment_id" text NOT NULL
      CONSTRAINT "deployment_event_deployment_id_fkey" REFERENCES "deployment" ON DELETE CASCADE,
    "at" timestamptz NOT NULL DEFAULT clock_timestamp(),
    "epoch" integer NOT NULL DEFAULT 0,
    "from_status" text,
    "to_status" text NOT NULL,
    "reason" text
  )`,
  `CREATE INDEX "deployment_event_deployment_id" ON "deployment_event" ("deployment_id", "id")`,

  // fillfactor: the head of a log is updated with every chunk; room on the page keeps those updates off the index.
  `CREATE TABLE "log_stream" (
    "deployment_id" text CONSTRAINT "log_stream_pkey" PRIMARY KEY
      CONSTRAINT "log_stream_deployment_id_fkey" REFERENCES "deployment" ON DELETE CASCADE,
    "epoch" integer NOT NULL DEFAULT 0,
    "last_seq" integer NOT NULL DEFAULT 0,
    "bytes" bigint NOT NULL DEFAULT 0,
    "omitted_bytes" bigint NOT NULL DEFAULT 0,
    "end_status" text
  ) WITH (fillfactor = 70)`,
  `CREATE TABLE "log_chunk" (
    "deployment_id" text NOT NULL CONSTRAINT "log_chunk_deployment_id_fkey" REFERENCES "log_stream" ON DELETE CASCADE,
    "seq" integer NOT NULL,
    "at" timestamptz NOT NULL,
    "phase" text NOT NULL,
    "stream" text NOT NULL,
    "text" text NOT NULL,
    CONSTRAINT "log_chunk_pkey" PRIMARY KEY ("deployment_id", "seq")
  )`,

  `CREATE TABLE "worker" (
    "id" text CONSTRAINT "worker_pkey" PRIMARY KEY,
    "started_at" timestamptz NOT NULL DEFAULT now(),
    "seen_at" timestamptz NOT NULL DEFAULT now(),
    "docker_error" text,
    "docker_version" text
  )`,
  `CREATE TABLE "instance" (
    "id" text CONSTRAINT "instance_pkey" PRIMARY KEY,
    "created_at" timestamptz NOT NULL DEFAULT now()
  )`,
]

const DOWN = [
  'instance',
  'worker',
  'log_chunk',
  'log_stream',
  'deployment_event',
  'deployment',
  'variable',
  'stage',
  'app',
].map((table) => `DROP TABLE "${table}"`)
