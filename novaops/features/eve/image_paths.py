"""Where EVE-NG has its images, labs and templates."""

ADDONS = "/opt/unetlab/addons"
LABS = "/opt/unetlab/labs"
TEMPLATES = "/opt/unetlab/html/templates"
WRAPPER = "/opt/unetlab/wrappers/unl_wrapper"
