import type { MigrationInterface, QueryRunner } from 'typeorm'

/** Whether the engine that built left lines out of a log. */
export class ClippedLogs1700000000009 implements MigrationInterface {
  name = 'ClippedLogs1700000000009'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "log_stream" ADD "clipped" boolean NOT NULL DEFAULT false`)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "log_stream" DROP COLUMN "clipped"`)
  }
}
