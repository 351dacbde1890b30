import type { MigrationInterface, QueryRunner } from 'typeorm'

/** What a stage's containers run instead of their image's CMD. */
export class StageCommand1700000000018 implements MigrationInterface {
  name = 'StageCommand1700000000018'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "stage" ADD "command" text array`)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "stage" DROP COLUMN "command"`)
  }
}
