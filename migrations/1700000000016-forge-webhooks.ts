import type { MigrationInterface, QueryRunner } from 'typeorm'

/** Webhooks that a worker creates at forges. */
export class ForgeWebhooks1700000000016 implements MigrationInterface {
  name = 'ForgeWebhooks1700000000016'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "refs_request" ADD "hook" jsonb`)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "refs_request" DROP COLUMN "hook"`)
  }
}
