import type { MigrationInterface, QueryRunner } from 'typeorm'

/** What is odd about a deployment that runs. */
export class DeploymentWarnings1700000000017 implements MigrationInterface {
  name = 'DeploymentWarnings1700000000017'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "deployment" ADD "warnings" text array NOT NULL DEFAULT '{}'`)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "deployment" DROP COLUMN "warnings"`)
  }
}
