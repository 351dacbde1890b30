import type { MigrationInterface, QueryRunner } from 'typeorm'

/** Who asked for a deployment and what it repeats; the key with which an app was created. */
export class Provenance1700000000010 implements MigrationInterface {
  name = 'Provenance1700000000010'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "deployment" ADD "actor" text, ADD "source_id" text`)
    await runner.query(`ALTER TABLE "app" ADD "idempotency_key" text`)
    await runner.query(
      `CREATE UNIQUE INDEX "app_idempotency_key" ON "app" ("idempotency_key") WHERE "idempotency_key" IS NOT NULL AND "deleted_at" IS NULL`,
    )
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP INDEX "app_idempotency_key"`)
    await runner.query(`ALTER TABLE "app" DROP COLUMN "idempotency_key"`)
    await runner.query(`ALTER TABLE "deployment" DROP COLUMN "source_id", DROP COLUMN "actor"`)
  }
}
