import type { MigrationInterface, QueryRunner } from 'typeorm'

/** How an app's image is built, pinned with each deployment. */
export class Builds1700000000005 implements MigrationInterface {
  name = 'Builds1700000000005'

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of UP) await runner.query(statement)
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const statement of DOWN) await runner.query(statement)
  }
}

const UP = [
  `ALTER TABLE "app" ADD "target" text`,
  `ALTER TABLE "app" ADD "build_args" jsonb NOT NULL DEFAULT '{}'`,
  `ALTER TABLE "app" ADD "platform" text`,
  // What is pinned already was built with what the app has.
  `UPDATE "deployment" d
      SET "configuration" = d."configuration" || jsonb_build_object('build', jsonb_build_object(
            'contextPath', a."context_path", 'dockerfilePath', a."dockerfile_path",
            'target', null, 'args', '{}'::jsonb, 'platform', null))
     FROM "app" a WHERE a."id" = d."app_id" AND d."configuration" IS NOT NULL`,
  `ALTER TABLE "deployment" ADD "build_key" text`,
  `CREATE INDEX "deployment_build_key" ON "deployment" ("app_id", "build_key") WHERE "build_key" IS NOT NULL`,
  `ALTER TABLE "variable" ADD "build_secret" boolean NOT NULL DEFAULT false`,
]

const DOWN = [
  `ALTER TABLE "variable" DROP COLUMN "build_secret"`,
  `DROP INDEX "deployment_build_key"`,
  `ALTER TABLE "deployment" DROP COLUMN "build_key"`,
  `UPDATE "deployment" SET "configuration" = "configuration" - 'build' WHERE "configuration" IS NOT NULL`,
  `ALTER TABLE "app" DROP COLUMN "platform"`,
  `ALTER TABLE "app" DROP COLUMN "build_args"`,
  `ALTER TABLE "app" DROP COLUMN "target"`,
]
