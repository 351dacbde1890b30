import type { MigrationInterface, QueryRunner } from 'typeorm'

/** Where a viewer of a runtime log stands with each chunk: the cursor with which it comes back. */
export class RuntimeLogCursors1700000000012 implements MigrationInterface {
  name = 'RuntimeLogCursors1700000000012'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "runtime_log_chunk" ADD "places" jsonb NOT NULL DEFAULT '[]'`)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "runtime_log_chunk" DROP COLUMN "places"`)
  }
}
