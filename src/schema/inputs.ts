import { Field, InputType, Int } from 'type-graphql'
import { HealthCheckInput, LimitsInput } from './stage-inputs.js'

export const IDEMPOTENCY_KEY = 'A second call with the same key returns what the first call created.'

@InputType('VariableInput', { description: 'An environment variable of a stage.' })
export class VariableInput {
  @Field(() => String, {
    description: 'The name of the environment variable: letters, digits and underscores.',
  })
  key!: string

  @Field(() => String, { description: 'Its value. Stored encrypted, masked in logs, never shown again.' })
  value!: string

  @Field(() => Boolean, {
    nullable: true,
    description:
      'Only for builds: steps mount it (RUN --mount=type=secret,id=KEY), and the container does not get it. Requires BuildKit. If omitted, it stays as it is; false for a new variable.',
  })
  buildSecret?: boolean | null
}

@InputType('BuildArgInput', {
  description:
    "A value for one of the Dockerfile's ARG instructions. Not for secrets: it stays in the image's history.",
})
export class BuildArgInput {
  @Field(() => String, { description: 'The name of the ARG.' })
  key!: string

  @Field(() => String, { description: 'Its value.' })
  value!: string
}

@InputType('CreateAppInput', { description: 'A new app.' })
export class CreateAppInput {
  @Field(() => String, {
    description:
      'A DNS label, unique: 1 to 32 characters (a-z, 0-9 and single inner hyphens), starting with a letter.',
  })
  name!: string

  @Field(() => String, {
    description:
      'https://, ssh:// or git@host:path. file:// requires ALLOW_FILE_REPOS=true. A token in it (https://user:token@host/path) becomes the repositoryCredential.',
  })
  repoUrl!: string

  @Field(() => String, {
    description: "The branch to deploy. Null: the repository's default branch.",
    nullable: true,
  })
  branch?: string | null

  @Field(() => String, {
    nullable: true,
    defaultValue: 'Dockerfile',
    description:
      'Path relative to contextPath; it may lead out of it (../Dockerfile), not out of the repository.',
  })
  dockerfilePath?: string | null

  @Field(() => String, {
    nullable: true,
    defaultValue: '.',
    description: "Path relative to the repository's root.",
  })
  contextPath?: string | null

  @Field(() => String, {
    nullable: true,
    description: 'The Dockerfile stage to build (FROM … AS name). Null: the last one.',
  })
  target?: string | null

  @Field(() => [BuildArgInput], { description: 'Build arguments.', nullable: true, defaultValue: [] })
  buildArgs?: BuildArgInput[] | null

  @Field(() => String, {
    nullable: true,
    description: "os/arch or os/arch/variant, such as linux/amd64. Null: the Docker engine's.",
  })
  platform?: string | null

  @Field(() => Int, {
    nullable: true,
    description: 'The port its container listens on. Default: the only port that the image exposes, else 80.',
  })
  port?: number | null

  @Field(() => [String], {
    nullable: true,
    description:
      'Globs such as apps/web/**; !docs/** excludes again, and the last match decides. A push that changes no matching path does not deploy. Empty: every push deploys.',
  })
  watchPaths?: string[] | null

  @Field(() => [VariableInput], {
    description: 'Variables of the production stage.',
    nullable: true,
    defaultValue: [],
  })
  variables?: VariableInput[] | null

  @Field(() => [String], {
    nullable: true,
    defaultValue: [],
    description: 'Additional hosts of the production stage, such as www.example.com.',
  })
  domains?: string[] | null

  @Field(() => HealthCheckInput, {
    nullable: true,
    description: 'Health check of the production stage.',
  })
  healthCheck?: HealthCheckInput | null

  @Field(() => LimitsInput, {
    nullable: true,
    description: 'Resource limits of each container of the production stage.',
  })
  limits?: LimitsInput | null

  @Field(() => Int, { nullable: true, description: 'Number of containers of the production stage.' })
  replicas?: number | null

  @Field(() => [String], {
    nullable: true,
    description:
      "What containers of the production stage run instead of the image's CMD, as arguments. Null: the image's.",
  })
  command?: string[] | null

  @Field(() => Boolean, {
    nullable: true,
    defaultValue: true,
    description: 'Whether to create the first deployment at once.',
  })
  deploy?: boolean | null

  @Field(() => String, { nullable: true, description: IDEMPOTENCY_KEY })
  idempotencyKey?: string | null
}

@InputType('UpdateAppInput', {
  description: 'Changes to an app. Omitted fields stay as they are. Takes effect with the next deployment.',
})
export class UpdateAppInput {
  @Field(() => String, {
    description:
      'https://, ssh:// or git@host:path. file:// requires ALLOW_FILE_REPOS=true. A token in it (https://user:token@host/path) becomes the repositoryCredential. A URL with another protocol, host or port deletes the credential.',
    nullable: true,
  })
  repoUrl?: string | null

  @Field(() => String, {
    description: "The branch to deploy. Null: the repository's default branch.",
    nullable: true,
  })
  branch?: string | null

  @Field(() => String, {
    description:
      'Path relative to contextPath; it may lead out of it (../Dockerfile), not out of the repository. Null: Dockerfile.',
    nullable: true,
  })
  dockerfilePath?: string | null

  @Field(() => String, {
    description: "Path relative to the repository's root. Null: the root.",
    nullable: true,
  })
  contextPath?: string | null

  @Field(() => String, {
    nullable: true,
    description: 'The Dockerfile stage to build (FROM … AS name). Null: the last one.',
  })
  target?: string | null

  @Field(() => [BuildArgInput], {
    nullable: true,
    description: 'The complete list; replaces the current one.',
  })
  buildArgs?: BuildArgInput[] | null

  @Field(() => String, {
    nullable: true,
    description: "os/arch or os/arch/variant, such as linux/amd64. Null: the Docker engine's.",
  })
  platform?: string | null

  @Field(() => Int, {
    nullable: true,
    description: 'The port its container listens on. Null: the only port that the image exposes, else 80.',
  })
  port?: number | null

  @Field(() => [String], {
    nullable: true,
    description: 'Globs as in CreateAppInput. Null: every push deploys.',
  })
  watchPaths?: string[] | null
}

@InputType('DeployInput', { description: 'What to deploy, and how.' })
export class DeployInput {
  @Field(() => String, { description: 'Name of the stage.', nullable: true, defaultValue: 'production' })
  stage?: string | null

  @Field(() => String, {
    nullable: true,
    description:
      'A branch, a tag or a full commit id, by any name that git takes; refs/heads/…, heads/…, refs/tags/… and tags/… are understood. Of a branch and a tag of one name it is the branch.',
  })
  ref?: string | null

  @Field(() => Boolean, {
    nullable: true,
    defaultValue: false,
    description: 'Whether to build without a reused image and without the layer cache.',
  })
  noCache?: boolean | null

  @Field(() => String, { nullable: true, description: IDEMPOTENCY_KEY })
  idempotencyKey?: string | null
}
