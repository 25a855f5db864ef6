# The role of an app's machines. Which app follows from the folder's path.

locals {
  app = trimprefix(dirname(get_path_from_repo_root()), "terraform/live/")
}

terraform {
  source = "${get_repo_root()}/terraform/modules//role"
}

inputs = {
  app = local.app
}
