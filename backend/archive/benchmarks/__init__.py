"""`manage.py benchmark dicomweb`: Concord and Orthanc side by side."""
