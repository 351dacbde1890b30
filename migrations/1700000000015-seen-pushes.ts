import type { MigrationInterface, QueryRunner } from 'typeorm'

/** What was seen of each branch, when its repository was looked up, and pushes that a worker compares before they deploy. */
export class SeenPushes1700000000015 implements MigrationInterface {
  name = 'SeenPushes1700000000015'

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement)
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await runner.query(statement)
  }
}

const UP = [
  `CREATE TABLE "seen_ref" (
    "stage_id" text NOT NULL,
    "ref" text NOT NULL,
    "sha" text NOT NULL,
    "seen_at" timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT "seen_ref_pkey" PRIMARY KEY ("stage_id"),
    CONSTRAINT "seen_ref_stage_id_fkey" FOREIGN KEY ("stage_id") REFERENCES "stage" ("id") ON DELETE CASCADE
  )`,
  `CREATE TABLE "repository_lookup" (
    "app_id" text NOT NULL,
    "looked_up_at" timestamptz,
    "due_at" timestamptz,
    "error" text,
    CONSTRAINT "repository_lookup_pkey" PRIMARY KEY ("app_id"),
    CONSTRAINT "repository_lookup_app_id_fkey" FOREIGN KEY ("app_id") REFERENCES "app" ("id") ON DELETE CASCADE
  )`,
  `CREATE TABLE "push_comparison" (
    "stage_id" text NOT NULL,
    "id" text NOT NULL,
    "ref" text NOT NULL,
    "sha" text NOT NULL,
    "message" text,
    "trigger" text NOT NULL,
    "actor" text NOT NULL,
    "delivery_id" text,
    "attempts" integer NOT NULL DEFAULT 0,
    "next_at" timestamptz NOT NULL DEFAULT now(),
    "created_at" timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT "push_comparison_pkey" PRIMARY KEY ("stage_id"),
    CONSTRAINT "push_comparison_stage_id_fkey" FOREIGN KEY ("stage_id") REFERENCES "stage" ("id") ON DELETE CASCADE
  )`,
  `ALTER TABLE "stage" ADD "stop_on_branch_deletion" boolean NOT NULL DEFAULT false`,
  `ALTER TABLE "commit_status_target" ADD "stale_reason" text`,
]

const DOWN = [
  `ALTER TABLE "commit_status_target" DROP COLUMN "stale_reason"`,
  `ALTER TABLE "stage" DROP COLUMN "stop_on_branch_deletion"`,
  `DROP TABLE "push_comparison"`,
  `DROP TABLE "repository_lookup"`,
  `DROP TABLE "seen_ref"`,
]
