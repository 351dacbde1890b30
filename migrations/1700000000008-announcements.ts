import type { MigrationInterface, QueryRunner } from 'typeorm'

/** What is announced when the routers have followed, and which of them has. */
export class Announcements1700000000008 implements MigrationInterface {
  name = 'Announcements1700000000008'

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement)
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await runner.query(statement)
  }
}

const UP = [
  `ALTER TABLE "deployment" ADD "shown_as" text`,
  `ALTER TABLE "deployment" ADD "announcement" text`,
  `CREATE INDEX "deployment_unannounced" ON "deployment" ("stage_id") WHERE "shown_as" IS NOT NULL`,
  `ALTER TABLE "stage" ADD "confirm_until" timestamptz`,
  `CREATE INDEX "stage_unconfirmed" ON "stage" ("confirm_until") WHERE "confirm_until" IS NOT NULL`,
  `ALTER TABLE "worker" ADD "router" text`,
  `CREATE TABLE "route_confirmation" (
    "router" text NOT NULL,
    "stage_id" text NOT NULL CONSTRAINT "route_confirmation_stage_id_fkey" REFERENCES "stage" ON DELETE CASCADE,
    "route_epoch" bigint NOT NULL,
    CONSTRAINT "route_confirmation_pkey" PRIMARY KEY ("stage_id", "router")
  )`,
]

// A log that is still open would stay so for whoever reads it: what was held back is as it is from here on.
const DOWN = [
  `UPDATE "log_stream" l SET "end_status" = 'RUNNING' FROM "deployment" d
    WHERE d."id" = l."deployment_id" AND d."shown_as" IS NOT NULL AND l."end_status" IS NULL`,
  `DROP TABLE "route_confirmation"`,
  `ALTER TABLE "worker" DROP COLUMN "router"`,
  `DROP INDEX "stage_unconfirmed"`,
  `ALTER TABLE "stage" DROP COLUMN "confirm_until"`,
  `DROP INDEX "deployment_unannounced"`,
  `ALTER TABLE "deployment" DROP COLUMN "announcement"`,
  `ALTER TABLE "deployment" DROP COLUMN "shown_as"`,
]
