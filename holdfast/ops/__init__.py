"""What a person does after deploy, through the cloud's APIs and the endpoints: no SSH, `--json` everywhere."""
