import { Field, InputType, Int } from 'type-graphql'
import { HealthCheckInput, LimitsInput } from './stage-inputs.js'

export const IDEMPOTENCY_KEY = 'A second call with the same key gives what the first call made.'

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
      'For builds alone: steps mount it (RUN --mount=type=secret,id=KEY), and the container does not get it. Needs BuildKit. Left out: as it was, and false for a new one.',
  })
  buildSecret?: boolean | null
}

@InputType('BuildArgInput', {
  description: "The value of an ARG of the Dockerfile. It stays in the image's history: nothing secret.",
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
      'A DNS label: a-z, 0-9 and inner single hyphens, 1 to 32 characters, begins with a letter. Unique.',
  })
  name!: string

  @Field(() => String, {
    description: 'https://, ssh:// or git@host:path. file:// only where ALLOW_FILE_REPOS=true.',
  })
  repoUrl!: string

  @Field(() => String, {
    description: "The branch to deploy. Null: the remote's default branch.",
    nullable: true,
  })
  branch?: string | null

  @Field(() => String, {
    nullable: true,
    defaultValue: 'Dockerfile',
    description: 'Relative to contextPath.',
  })
  dockerfilePath?: string | null

  @Field(() => String, {
    nullable: true,
    defaultValue: '.',
    description: "Relative to the repository's root.",
  })
  contextPath?: string | null

  @Field(() => String, {
    nullable: true,
    description: 'The stage of the Dockerfile to build (FROM … AS name). Null: the last one.',
  })
  target?: string | null

  @Field(() => [BuildArgInput], { description: 'Build arguments.', nullable: true, defaultValue: [] })
  buildArgs?: BuildArgInput[] | null

  @Field(() => String, {
    nullable: true,
    description: "os/arch or os/arch/variant, as linux/amd64. Null: the Docker engine's own.",
  })
  platform?: string | null

  @Field(() => Int, {
    nullable: true,
    description: 'Where its container listens. Default: the one port that the image exposes, else 80.',
  })
  port?: number | null

  @Field(() => [String], {
    nullable: true,
    description:
      'Globs such as apps/web/**; !docs/** takes back, the last match decides. A push that changes nothing below them deploys nothing. Empty: every push counts.',
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
    description: 'Further hosts of the production stage, such as www.example.com.',
  })
  domains?: string[] | null

  @Field(() => HealthCheckInput, {
    nullable: true,
    description: 'How new versions of the production stage are checked.',
  })
  healthCheck?: HealthCheckInput | null

  @Field(() => LimitsInput, {
    nullable: true,
    description: 'What each container of the production stage may use.',
  })
  limits?: LimitsInput | null

  @Field(() => Int, { nullable: true, description: 'How many containers serve the production stage.' })
  replicas?: number | null

  @Field(() => Boolean, {
    nullable: true,
    defaultValue: true,
    description: 'Make the first deployment at once.',
  })
  deploy?: boolean | null

  @Field(() => String, { nullable: true, description: IDEMPOTENCY_KEY })
  idempotencyKey?: string | null
}

@InputType('UpdateAppInput', {
  description:
    'Changes to an app. What is left out stays as it is; changes take effect with the next deployment.',
})
export class UpdateAppInput {
  @Field(() => String, {
    description: 'https://, ssh:// or git@host:path. file:// only where ALLOW_FILE_REPOS=true.',
    nullable: true,
  })
  repoUrl?: string | null

  @Field(() => String, {
    description: "The branch to deploy. Null: the remote's default branch.",
    nullable: true,
  })
  branch?: string | null

  @Field(() => String, { description: 'Relative to contextPath. Null: Dockerfile.', nullable: true })
  dockerfilePath?: string | null

  @Field(() => String, { description: "Relative to the repository's root. Null: the root.", nullable: true })
  contextPath?: string | null

  @Field(() => String, {
    nullable: true,
    description: 'The stage of the Dockerfile to build (FROM … AS name). Null: the last one.',
  })
  target?: string | null

  @Field(() => [BuildArgInput], { nullable: true, description: 'All of them, in place of those before.' })
  buildArgs?: BuildArgInput[] | null

  @Field(() => String, {
    nullable: true,
    description: "os/arch or os/arch/variant, as linux/amd64. Null: the Docker engine's own.",
  })
  platform?: string | null

  @Field(() => Int, { nullable: true, description: 'Null: what the image exposes.' })
  port?: number | null

  @Field(() => [String], { nullable: true, description: 'Null: every push counts.' })
  watchPaths?: string[] | null
}

@InputType('DeployInput', { description: 'What to deploy, and how.' })
export class DeployInput {
  @Field(() => String, { description: 'Name of the stage.', nullable: true, defaultValue: 'production' })
  stage?: string | null

  @Field(() => String, { nullable: true, description: 'A branch, a tag or a full commit id.' })
  ref?: string | null

  @Field(() => Boolean, {
    nullable: true,
    defaultValue: false,
    description: 'Build without the layer cache.',
  })
  noCache?: boolean | null

  @Field(() => String, { nullable: true, description: IDEMPOTENCY_KEY })
  idempotencyKey?: string | null
}
