import type { MigrationInterface, QueryRunner } from 'typeorm'

/** Domains of the user, and what a switch of traffic can be taken back to while the new version is watched. */
export class Traffic1700000000003 implements MigrationInterface {
  name = 'Traffic1700000000003'

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement)
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await runner.query(statement)
  }
}

const UP = [
  `ALTER TABLE "deployment" ADD "replaced_id" text`,
  `ALTER TABLE "deployment" ADD "watch_until" timestamptz`,
  `CREATE INDEX "deployment_watched" ON "deployment" ("watch_until") WHERE "watch_until" IS NOT NULL`,
  `CREATE INDEX "deployment_addressed" ON "deployment" ("stage_id") WHERE "addresses" IS NOT NULL`,
  // The host is the key: no two stages ever answer on one host, whoever asks at the same time.
  `CREATE TABLE "domain" (
    "host" text CONSTRAINT "domain_pkey" PRIMARY KEY,
    "stage_id" text NOT NULL CONSTRAINT "domain_stage_id_fkey" REFERENCES "stage" ON DELETE CASCADE,
    "created_at" timestamptz NOT NULL DEFAULT now()
  )`,
  `CREATE INDEX "domain_stage_id" ON "domain" ("stage_id")`,
]

const DOWN = [
  `DROP TABLE "domain"`,
  `DROP INDEX "deployment_addressed"`,
  `DROP INDEX "deployment_watched"`,
  `ALTER TABLE "deployment" DROP COLUMN "watch_until"`,
  `ALTER TABLE "deployment" DROP COLUMN "replaced_id"`,
]
