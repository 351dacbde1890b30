import type { MigrationInterface, QueryRunner } from 'typeorm'

/** A value by which a process sees at its start whether it has the key that everything else is encrypted with. */
export class Secrets1700000000006 implements MigrationInterface {
  name = 'Secrets1700000000006'

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "instance" ADD "canary" text`)
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`ALTER TABLE "instance" DROP COLUMN "canary"`)
  }
}
