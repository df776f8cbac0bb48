"""What a change of an environment would do to its Redis: Terraform's plans read, judged, and told to a reviewer.

Pure: `facts` (what is known); `plan` and `synthesis` (JSON → facts); `nodes`, `rollout`, `reach` and `user_data` (what
becomes of each part); `rules` (facts → findings); `meaning` (facts → sentences); `report`, `details`, `markdown`,
`drawing` and `page` (what people see). Edge: `run` (all together), `terraform`, `states`, `base` (another commit).
"""
