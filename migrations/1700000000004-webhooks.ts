import type { MigrationInterface, QueryRunner } from 'typeorm'

/** Deliveries of forges, what a stage and an app take of them, and what forges are told. */
export class Webhooks1700000000004 implements MigrationInterface {
  name = 'Webhooks1700000000004'

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement)
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await runner.query(statement)
  }
}

const UP = [
  `ALTER TABLE "app" ADD "watch_paths" text[] NOT NULL DEFAULT '{}'`,
  `ALTER TABLE "stage" ADD "tags" text`,
  `CREATE TABLE "webhook" (
    "app_id" text CONSTRAINT "webhook_pkey" PRIMARY KEY
      CONSTRAINT "webhook_app_id_fkey" REFERENCES "app" ON DELETE CASCADE,
    "secret_encrypted" text NOT NULL,
    "created_at" timestamptz NOT NULL DEFAULT now(),
    "rotated_at" timestamptz NOT NULL DEFAULT now()
  )`,
  `CREATE TABLE "webhook_delivery" (
    "id" text CONSTRAINT "webhook_delivery_pkey" PRIMARY KEY,
    "number" bigserial NOT NULL,
    "app_id" text NOT NULL CONSTRAINT "webhook_delivery_app_id_fkey" REFERENCES "app" ON DELETE CASCADE,
    "forge" text NOT NULL,
    "event" text NOT NULL,
    "delivery_key" text,
    "body_hash" text,
    "received_at" timestamptz NOT NULL DEFAULT clock_timestamp(),
    "verdict" text NOT NULL,
    "reason" text NOT NULL,
    "ref" text,
    "before_sha" text,
    "commit_sha" text,
    "decisions" jsonb NOT NULL,
    "content_type" text NOT NULL,
    "body" bytea,
    "redelivery_of" text
  )`,
  `CREATE INDEX "webhook_delivery_app_number" ON "webhook_delivery" ("app_id", "number")`,
  `CREATE INDEX "webhook_delivery_app_received" ON "webhook_delivery" ("app_id", "received_at")`,
  // A second delivery is refused by the database, whoever asks at the same time.
  `CREATE UNIQUE INDEX "webhook_delivery_key" ON "webhook_delivery" ("app_id", "delivery_key")
    WHERE "delivery_key" IS NOT NULL`,
  `CREATE UNIQUE INDEX "webhook_delivery_body" ON "webhook_delivery" ("app_id", "body_hash")
    WHERE "body_hash" IS NOT NULL`,
  `CREATE TABLE "commit_status_target" (
    "app_id" text CONSTRAINT "commit_status_target_pkey" PRIMARY KEY
      CONSTRAINT "commit_status_target_app_id_fkey" REFERENCES "app" ON DELETE CASCADE,
    "forge" text NOT NULL,
    "api_url" text NOT NULL,
    "repository" text NOT NULL,
    "token_encrypted" text NOT NULL,
    "fingerprint" text NOT NULL,
    "updated_at" timestamptz NOT NULL DEFAULT now()
  )`,
  `CREATE TABLE "commit_status_report" (
    "deployment_id" text CONSTRAINT "commit_status_report_pkey" PRIMARY KEY
      CONSTRAINT "commit_status_report_deployment_id_fkey" REFERENCES "deployment" ON DELETE CASCADE,
    "wanted" text NOT NULL,
    "reported" text,
    "attempts" integer NOT NULL DEFAULT 0,
    "next_at" timestamptz NOT NULL DEFAULT now(),
    "error" text
  )`,
]

const DOWN = [
  `DROP TABLE "commit_status_report"`,
  `DROP TABLE "commit_status_target"`,
  `DROP TABLE "webhook_delivery"`,
  `DROP TABLE "webhook"`,
  `ALTER TABLE "stage" DROP COLUMN "tags"`,
  `ALTER TABLE "app" DROP COLUMN "watch_paths"`,
]
