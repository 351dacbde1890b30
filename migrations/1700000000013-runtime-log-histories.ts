import type { MigrationInterface, QueryRunner } from 'typeorm'

/** A viewer that is shown what was written up to a place, and then ends: from there on it shares what another one reads. */
export class RuntimeLogHistories1700000000013 implements MigrationInterface {
  name = 'RuntimeLogHistories1700000000013'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "runtime_log_viewer" ADD "until" jsonb`)
    await runner.query(`ALTER TABLE "runtime_log_viewer" ADD "has_ended" boolean NOT NULL DEFAULT false`)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "runtime_log_viewer" DROP COLUMN "has_ended"`)
    await runner.query(`ALTER TABLE "runtime_log_viewer" DROP COLUMN "until"`)
  }
}
